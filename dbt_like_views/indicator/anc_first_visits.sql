/*---
description: Pregnancies enrolled in antenatal care, at their first contact.
grain: one row per pregnancy (a second enrolment of a woman within 280 days is the same one)
source: https://hl7.org/fhir/R4/condition.html
data_set: CHW_M
measures:
  first_contacts: {data_element: ANC_1ST}
  women: {data_element: ANC_WOMEN, distinct: patient_id}
  before_week_12: {data_element: ANC_1ST_EARLY, where: is_before_week_12}
disaggregation:
  age_group: {category: ANC_AGE, options: {"<20": ANC_LT20, "20-24": ANC_20_24, "25+": ANC_25P}}
tests:
  not_null: [patient_id]
  unique: [resource_id]
---*/
with enrolment as (
  select
    condition.id,
    coalesce(patient.replaced_by_id, condition.patient_id) as patient_id,
    coalesce(condition.onset_on, condition.recorded_on) as enrolled_on,
    condition.encounter_id,
    coalesce(
      condition.location_id, encounter.location_id, condition.worker_location_id, patient.location_id
    ) as location_id,
    patient.birth_on
  from staging.condition
  left join staging.encounter on condition.encounter_id = encounter.id
  left join staging.patient on condition.patient_id = patient.id
  where 'http://snomed.info/sct|77386006' = any(condition.codes)
    and condition.patient_id is not null
    and coalesce(condition.verification_status, '') not in ('entered-in-error', 'refuted')
),

numbered as (
  select
    *,
    lag(enrolled_on) over (partition by patient_id order by enrolled_on, id) as previous_on
  from enrolment
),

pregnancy as (
  select
    *,
    fhir.age_years(birth_on, enrolled_on) as age
  from numbered
  where previous_on is null or enrolled_on is null or enrolled_on - previous_on >= 280
),

gestation as (
  select
    encounter_id,
    min(value) as weeks
  from staging.observation
  where 'http://snomed.info/sct|57036006' = any(codes)
    and status in ('final', 'amended', 'corrected')
  group by encounter_id
)

select
  place.org_unit_id,
  pregnancy.enrolled_on as event_on,
  case when pregnancy.age < 20 then '<20' when pregnancy.age < 25 then '20-24' when pregnancy.age >= 25 then '25+' end
    as age_group,
  pregnancy.patient_id,
  coalesce(gestation.weeks < 12, false) as is_before_week_12,
  'Condition' as resource_type,
  pregnancy.id as resource_id
from pregnancy
left join gestation on pregnancy.encounter_id = gestation.encounter_id
left join lookup.place on pregnancy.location_id = place.location_id
