/*---
description: Home visits to households, and the households reached by at least one.
grain: one row per Encounter of class HH whose subject is a household or a client
source: https://hl7.org/fhir/R4/encounter.html
data_set: CHW_M
measures:
  visits: {data_element: HH_VISITS}
  households: {data_element: HH_VISITED, distinct: household_id}
tests:
  unique: [resource_id]
---*/
with household as (
  select
    id,
    location_id
  from staging."group"
  where 'http://snomed.info/sct|35359004' = any(codes)
),

-- a client listed by two households belongs to the one that listed them last
residence as (
  select distinct on (group_member.patient_id)
    group_member.patient_id,
    group_member.group_id
  from staging.group_member
  inner join household on group_member.group_id = household.id
  where not group_member.is_inactive
  order by group_member.patient_id asc, group_member.started_on desc nulls last, group_member.group_id asc
),

visit as (
  select
    encounter.*,
    coalesce(encounter.group_id, residence.group_id) as household_id
  from staging.encounter
  left join residence on encounter.patient_id = residence.patient_id
  where encounter.class_code = 'HH' and encounter.status = 'finished'
)

select
  place.org_unit_id,
  visit.started_on as event_on,
  visit.household_id,
  'Encounter' as resource_type,
  visit.id as resource_id
from visit
left join household on visit.household_id = household.id
left join staging.patient on visit.patient_id = patient.id
left join lookup.place
  on place.location_id
  = coalesce(visit.location_id, visit.worker_location_id, household.location_id, patient.location_id)
-- a removed household is emptied: its clients' visits stay, but no longer say which household they reached
where household.id is not null or visit.patient_id is not null
