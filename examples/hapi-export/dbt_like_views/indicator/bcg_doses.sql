/*---
description: BCG doses given, and BCG doses noted as not given. It is the only antigen of the OpenSRP-like clients.
grain: one row per Immunization with BCG
source: https://hl7.org/fhir/R4/immunization.html
data_set: ECHIS_M
measures:
  given: {data_element: BCG_GIVEN, where: is_given}
  not_given: {data_element: BCG_NOT_GIVEN, where: is_not_given}
disaggregation:
  age_group: {category: AGE5, options: {"<5": AGE_LT5, "5-14": AGE_5_14, "15+": AGE_15P}}
  sex: {category: SEX, options: {female: SEX_F, male: SEX_M}}
tests:
  not_null: [patient_id]
  unique: [resource_id]
---*/
with dose as (
  select
    immunization.id,
    immunization.status,
    immunization.patient_id,
    immunization.occurred_on,
    immunization.location_id,
    patient.gender,
    fhir.age_years(patient.birth_on, immunization.occurred_on) as age
  from staging.immunization
  left join staging.patient on immunization.patient_id = patient.id
  where 'http://snomed.info/sct|42284007' = any(immunization.vaccine_codes)
    and immunization.status in ('completed', 'not-done')
)

select
  place.org_unit_id,
  dose.occurred_on as event_on,
  case when dose.age < 5 then '<5' when dose.age < 15 then '5-14' when dose.age >= 15 then '15+' end as age_group,
  dose.gender as sex,
  dose.patient_id,
  dose.status = 'completed' as is_given,
  dose.status = 'not-done' as is_not_given,
  'Immunization' as resource_type,
  dose.id as resource_id
from dose
left join lookup.place on dose.location_id = place.location_id
