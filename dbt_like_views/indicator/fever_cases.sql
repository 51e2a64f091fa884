/*---
description: Fever episodes tested for malaria, found positive, and treated with ACT.
grain: one row per client and episode; contacts within 14 days of the one before belong to it
source: https://hl7.org/fhir/R4/encounter.html
data_set: CHW_W
measures:
  tested: {data_element: FEVER_TESTED, where: is_tested}
  positive: {data_element: FEVER_POSITIVE, where: is_positive}
  treated: {data_element: FEVER_TREATED, where: is_treated}
disaggregation:
  age_group: {category: AGE5, options: {"<5": AGE_LT5, "5-14": AGE_5_14, "15+": AGE_15P}}
  sex: {category: SEX, options: {female: SEX_F, male: SEX_M}}
tests:
  not_null: [patient_id]
  unique: [resource_id]
---*/
with finding as (
  select
    encounter_id,
    bool_or('http://loinc.org|70569-9' = any(codes)) as is_tested,
    bool_or(
      'http://loinc.org|70569-9' = any(codes) and 'http://snomed.info/sct|10828004' = any(value_codes)
    ) as is_positive,
    bool_or('http://smartregister.org/codes|act-given' = any(codes) and is_value_true) as is_treated
  from staging.observation
  where status in ('final', 'amended', 'corrected')
    and codes && array['http://loinc.org|70569-9', 'http://smartregister.org/codes|act-given']
  group by encounter_id
),

contact as (
  select
    encounter.id,
    coalesce(patient.replaced_by_id, encounter.patient_id) as patient_id,
    encounter.started_on,
    coalesce(encounter.location_id, encounter.worker_location_id, patient.location_id) as location_id,
    patient.birth_on,
    patient.gender,
    coalesce(finding.is_tested, false) as is_tested,
    coalesce(finding.is_positive, false) as is_positive,
    coalesce(finding.is_treated, false) as is_treated
  from staging.encounter
  left join finding on encounter.id = finding.encounter_id
  left join staging.patient on encounter.patient_id = patient.id
  where 'http://snomed.info/sct|386661006' = any(encounter.reason_codes)
    and encounter.status = 'finished'
    and encounter.patient_id is not null
),

numbered as (
  select
    *,
    started_on - lag(started_on) over (partition by patient_id order by started_on, id) as days_since
  from contact
),

followed as (
  select
    *,
    count(*) filter (where days_since is null or days_since > 14 or started_on is null)
      over (partition by patient_id order by started_on, id) as episode
  from numbered
),

-- the first contact gives place, date and age; a test or treatment at any contact counts
case_of_fever as (
  select distinct on (patient_id, episode)
    id,
    patient_id,
    started_on,
    location_id,
    fhir.age_years(birth_on, started_on) as age,
    gender,
    bool_or(is_tested) over whole as is_tested,
    bool_or(is_positive) over whole as is_positive,
    bool_or(is_positive) over whole and bool_or(is_treated) over whole as is_treated
  from followed
  window whole as (partition by patient_id, episode)
  order by patient_id, episode, started_on, id
)

select
  place.org_unit_id,
  case_of_fever.started_on as event_on,
  case when case_of_fever.age < 5 then '<5' when case_of_fever.age < 15 then '5-14' when case_of_fever.age >= 15 then '15+' end
    as age_group,
  case_of_fever.gender as sex,
  case_of_fever.patient_id,
  case_of_fever.is_tested,
  case_of_fever.is_positive,
  case_of_fever.is_treated,
  'Encounter' as resource_type,
  case_of_fever.id as resource_id
from case_of_fever
left join lookup.place on case_of_fever.location_id = place.location_id
