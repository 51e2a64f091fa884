/*---
description: Blisters of artemisinin combination therapy dispensed.
grain: one row per consumption movement of an ACT commodity
source: https://hl7.org/fhir/R4/observation.html
data_set: CHW_M
measures:
  blisters: {data_element: ACT_DISPENSED, sum: quantity}
tests:
  not_null: [quantity]
  unique: [resource_id]
---*/
with movement as (
  select *
  from staging.observation
  where 'http://snomed.info/sct|386452003' = any(category_codes)
    and 'http://smartregister.org/codes|consumption' = any(codes)
    and status in ('final', 'amended', 'corrected')
),

-- commodities are shared by the whole country: the place is the movement's, never the Group's
commodity as (
  select id
  from staging."group"
  where 'http://snomed.info/sct|386452003' = any(codes) and commodity ilike 'ACT %'
)

select
  place.org_unit_id,
  movement.effective_on as event_on,
  movement.value as quantity,
  'Observation' as resource_type,
  movement.id as resource_id
from movement
inner join commodity on movement.group_id = commodity.id
left join staging.encounter on movement.encounter_id = encounter.id
left join lookup.place
  on place.location_id = coalesce(movement.location_id, encounter.location_id, movement.worker_location_id)
