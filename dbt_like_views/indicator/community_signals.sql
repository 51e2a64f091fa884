/*---
description: Signals of community event-based surveillance that stand - waiting for verification, or verified.
grain: one row per signal; one that was dismissed (cancelled) is none
source: https://hl7.org/fhir/R4/observation.html
data_set: CHW_W
measures:
  signals: {data_element: CEBS_SIGNALS}
tests:
  unique: [resource_id]
---*/
with signal as (
  select *
  from staging.observation
  where category_codes && array[
    'http://terminology.hl7.org/CodeSystem/observation-category|surveillance',
    'http://moh.go.ug/CodeSystem/cebs-category|surveillance'
  ]
  and status in ('preliminary', 'final', 'amended', 'corrected')
)

select
  place.org_unit_id,
  signal.effective_on as event_on,
  'Observation' as resource_type,
  signal.id as resource_id
from signal
left join lookup.place on place.location_id = coalesce(signal.location_id, signal.worker_location_id)
