/*---
description: Children of 6 to 59 months whose upper arm was measured, and those below 11.5 cm.
grain: one row per child and month, the latest measure
source: https://hl7.org/fhir/R4/observation.html
data_set: CHW_M
measures:
  screened: {data_element: MUAC_SCREENED}
  severe: {data_element: MUAC_SAM, where: is_severe}
disaggregation:
  sex: {category: SEX, options: {female: SEX_F, male: SEX_M}}
tests:
  not_null: [centimetres]
  unique: [resource_id]
---*/
with measure as (
  select
    observation.*,
    case observation.value_unit when 'mm' then observation.value / 10 else observation.value end as centimetres
  from staging.observation
  where 'http://snomed.info/sct|284473002' = any(observation.codes)
    and observation.status in ('final', 'amended', 'corrected')
    and observation.value is not null
),

placed as (
  select
    measure.id,
    coalesce(patient.replaced_by_id, measure.patient_id) as patient_id,
    measure.effective_on,
    measure.effective_at,
    measure.centimetres,
    coalesce(
      measure.location_id, encounter.location_id, measure.worker_location_id, patient.location_id
    ) as location_id,
    patient.gender,
    patient.birth_on
  from measure
  left join staging.encounter on measure.encounter_id = encounter.id
  left join staging.patient on measure.patient_id = patient.id
),

latest as (
  select distinct on (patient_id, date_trunc('month', effective_on)) *
  from placed
  where effective_on is null or birth_on is null or effective_on < birth_on
    or effective_on >= birth_on + interval '6 months' and effective_on < birth_on + interval '60 months'
  order by patient_id asc, date_trunc('month', effective_on) asc, effective_on desc, effective_at desc nulls last, id asc
)

select
  place.org_unit_id,
  case when latest.effective_on >= latest.birth_on then latest.effective_on end as event_on,
  'Monthly' as period_type,
  latest.gender as sex,
  latest.centimetres,
  latest.centimetres < 11.5 as is_severe,
  'Observation' as resource_type,
  latest.id as resource_id
from latest
left join lookup.place on latest.location_id = place.location_id
