/*---
description: Malaria rapid tests done, and those that were positive.
grain: one row per Observation of a test that stands (not entered in error)
source: https://hl7.org/fhir/R4/observation.html
data_set: ECHIS_W
measures:
  tested: {data_element: RDT_DONE}
  positive: {data_element: RDT_POSITIVE, where: is_positive}
disaggregation:
  age_group: {category: AGE5, options: {"<5": AGE_LT5, "5-14": AGE_5_14, "15+": AGE_15P}}
  sex: {category: SEX, options: {female: SEX_F, male: SEX_M}}
tests:
  not_null: [is_positive]
  unique: [resource_id]
---*/
with test as (
  select
    observation.id,
    observation.effective_on,
    observation.location_id,
    patient.gender,
    fhir.age_years(patient.birth_on, observation.effective_on) as age,
    'http://snomed.info/sct|10828004' = any(observation.value_codes) as is_positive
  from staging.observation
  left join staging.patient on observation.patient_id = patient.id
  where 'http://loinc.org|70569-9' = any(observation.codes)
    and observation.status in ('final', 'amended', 'corrected')
)

select
  place.org_unit_id,
  test.effective_on as event_on,
  case when test.age < 5 then '<5' when test.age < 15 then '5-14' when test.age >= 15 then '15+' end as age_group,
  test.gender as sex,
  test.is_positive,
  'Observation' as resource_type,
  test.id as resource_id
from test
left join lookup.place on test.location_id = place.location_id
