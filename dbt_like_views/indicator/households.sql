/*---
description: Active households at the end of the quarter.
grain: one row per household and quarter that has ended
source: https://hl7.org/fhir/R4/group.html
data_set: CHW_Q
measures:
  households: {data_element: HOUSEHOLDS}
tests:
  unique: [[resource_id, event_on]]
---*/
with quarter as (
  select
    period_type,
    end_on
  from lookup.period
  where period_type = 'Quarterly' and end_on < fhir.today()
),

-- FHIR has no date of registration: the first member's start is the nearest; without one, it was always there
begun as (
  select
    group_id,
    min(started_on) as registered_on
  from staging.group_member
  group by group_id
),

household as (
  select
    resource_group.id,
    coalesce(resource_group.location_id, resource_group.worker_location_id) as location_id,
    coalesce(begun.registered_on, date '-infinity') as registered_on
  from staging."group" as resource_group
  left join begun on resource_group.id = begun.group_id
  where resource_group.is_active and 'http://snomed.info/sct|35359004' = any(resource_group.codes)
)

select
  place.org_unit_id,
  quarter.end_on as event_on,
  quarter.period_type,
  'Group' as resource_type,
  household.id as resource_id
from household
inner join quarter on household.registered_on <= quarter.end_on
left join lookup.place on household.location_id = place.location_id
