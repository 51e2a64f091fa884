/*---
description: First and third pentavalent and first measles-rubella doses given.
grain: one row per child, antigen and dose, the earliest when noted twice
source: https://hl7.org/fhir/R4/immunization.html
data_set: CHW_M
measures:
  penta_1: {data_element: PENTA1, where: is_penta_1}
  penta_3: {data_element: PENTA3, where: is_penta_3}
  measles_rubella_1: {data_element: MR1, where: is_measles_rubella_1}
disaggregation:
  age_group: {category: AGE1, options: {"<1": AGE_LT1, "1+": AGE_1P}}
  sex: {category: SEX, options: {female: SEX_F, male: SEX_M}}
tests:
  not_null: [patient_id]
  unique: [resource_id, [patient_id, dose]]
---*/
with named as (
  select
    immunization.*,
    lower(translate(immunization.vaccine, '_-', '  ')) as vaccine_name
  from staging.immunization
  where immunization.status = 'completed' and immunization.patient_id is not null
),

-- forms name the dose in the text; where they do not, the product and the dose number say it
dosed as (
  select
    *,
    case
      when vaccine_name = 'dpt hepb hib 1' then 'penta 1'
      when vaccine_name = 'dpt hepb hib 3' then 'penta 3'
      when vaccine_name in ('mr 1', 'measles rubella 1') then 'measles rubella 1'
      when vaccine_name ~ '\d$' then null
      when 'http://snomed.info/sct|871876009' = any(vaccine_codes) and dose_number = 1 then 'penta 1'
      when 'http://snomed.info/sct|871876009' = any(vaccine_codes) and dose_number = 3 then 'penta 3'
      when 'http://snomed.info/sct|38598009' = any(vaccine_codes) and dose_number = 1 then 'measles rubella 1'
    end as dose
  from named
),

placed as (
  select
    dosed.id,
    coalesce(patient.replaced_by_id, dosed.patient_id) as patient_id,
    dosed.dose,
    dosed.occurred_on,
    coalesce(
      dosed.location_id, encounter.location_id, dosed.worker_location_id, patient.location_id
    ) as location_id,
    fhir.age_years(patient.birth_on, dosed.occurred_on) as age,
    patient.gender
  from dosed
  left join staging.encounter on dosed.encounter_id = encounter.id
  left join staging.patient on dosed.patient_id = patient.id
  where dosed.dose is not null
),

earliest as (
  select distinct on (patient_id, dose) *
  from placed
  order by patient_id, dose, occurred_on nulls last, id
)

select
  place.org_unit_id,
  earliest.occurred_on as event_on,
  case when earliest.age < 1 then '<1' when earliest.age >= 1 then '1+' end as age_group,
  earliest.gender as sex,
  earliest.patient_id,
  earliest.dose,
  earliest.dose = 'penta 1' as is_penta_1,
  earliest.dose = 'penta 3' as is_penta_3,
  earliest.dose = 'measles rubella 1' as is_measles_rubella_1,
  'Immunization' as resource_type,
  earliest.id as resource_id
from earliest
left join lookup.place on earliest.location_id = place.location_id
