/*---
description: Home visits by what they were for, and the households that they reached.
grain: one row per Encounter of class HH that is not cancelled or an error
source: https://hl7.org/fhir/R4/encounter.html
data_set: ECHIS_M
measures:
  registrations: {data_element: VISITS_REGISTRATION, where: is_registration}
  vaccinations: {data_element: VISITS_VACCINATION, where: is_vaccination}
  untyped: {data_element: VISITS_UNTYPED, where: is_untyped}
  unfinished: {data_element: VISITS_UNFINISHED, where: is_unfinished}
  households: {data_element: HOUSEHOLDS_VISITED, distinct: household_id, where: is_finished}
tests:
  unique: [resource_id]
---*/
with household as (
  select id
  from staging."group"
  where 'http://snomed.info/sct|35359004' = any(codes)
),

-- no client of this export is listed by two households; were one, it would count with the first
residence as (
  select
    group_member.patient_id,
    min(group_member.group_id) as household_id
  from staging.group_member
  inner join household on group_member.group_id = household.id
  group by group_member.patient_id
),

visit as (
  select
    id,
    patient_id,
    location_id,
    started_on,
    coalesce(type_codes, '{}') as type_codes,
    status = 'finished' as is_finished
  from staging.encounter
  where class_code = 'HH' and status in ('finished', 'in-progress')
)

select
  place.org_unit_id,
  visit.started_on as event_on,
  visit.patient_id,
  residence.household_id,
  visit.is_finished,
  not visit.is_finished as is_unfinished,
  visit.is_finished and 'http://snomed.info/sct|184048005' = any(visit.type_codes) as is_registration,
  visit.is_finished and 'http://snomed.info/sct|33879002' = any(visit.type_codes) as is_vaccination,
  visit.is_finished and visit.type_codes = '{}' as is_untyped,
  'Encounter' as resource_type,
  visit.id as resource_id
from visit
left join residence on visit.patient_id = residence.patient_id
left join lookup.place on visit.location_id = place.location_id
