/*---
description: People with a positive HIV rapid test, those ever started on ART, and those whose last viral load was high.
grain: one row per client of Synthea-HIV and quarter that has begun, at the hospital of the last HIV visit
source: https://hl7.org/fhir/R4/observation.html
data_set: HIV_Q
measures:
  positive: {data_element: HIV_POSITIVE, where: is_positive}
  started: {data_element: HIV_ART_STARTED, where: is_started}
  unsuppressed: {data_element: HIV_UNSUPPRESSED, where: is_unsuppressed}
disaggregation:
  sex: {category: SEX, options: {female: SEX_F, male: SEX_M}}
tests:
  not_null: [is_positive, is_started, is_unsuppressed]
  unique: [[resource_id, event_on]]
---*/
with quarter as (
  select
    period_type,
    end_on
  from lookup.period
  where period_type = 'Quarterly' and start_on <= fhir.today()
),

-- the export files CIEL's codes under the addresses of LOINC and SNOMED CT
finding as (
  select
    observation.patient_id,
    observation.effective_on,
    observation.effective_at,
    observation.id,
    encounter.location_id,
    case when 'http://loinc.org|856AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' = any(observation.codes)
      then observation.value
    end as viral_load,
    'http://loinc.org|1040AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' = any(observation.codes)
    and 'http://snomed.info/sct|703AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' = any(observation.value_codes) as is_positive,
    'http://loinc.org|1250AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' = any(observation.codes) as is_start
  from staging.observation
  inner join staging.encounter on observation.encounter_id = encounter.id
  where observation.codes && array[
    'http://loinc.org|856AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    'http://loinc.org|1040AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    'http://loinc.org|1250AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
  ]
  and observation.status in ('final', 'amended', 'corrected')
  and observation.effective_at is not null
),

person as (
  select
    finding.patient_id,
    quarter.period_type,
    quarter.end_on,
    bool_or(finding.is_positive) as is_positive,
    bool_or(finding.is_start) as is_started,
    (array_agg(finding.location_id order by finding.effective_at desc, finding.id asc))[1] as location_id,
    (array_agg(finding.viral_load order by finding.effective_at desc, finding.id asc)
      filter (where finding.viral_load is not null))[1] as last_viral_load
  from finding
  inner join quarter on finding.effective_on <= quarter.end_on
  group by finding.patient_id, quarter.period_type, quarter.end_on
)

select
  place.org_unit_id,
  person.end_on as event_on,
  person.period_type,
  patient.gender as sex,
  coalesce(person.is_positive, false) as is_positive,
  person.is_started,
  -- copies a millilitre; the export names no unit
  coalesce(person.last_viral_load >= 1000, false) as is_unsuppressed,
  'Patient' as resource_type,
  person.patient_id as resource_id
from person
inner join staging.patient on person.patient_id = patient.id
left join lookup.place on person.location_id = place.location_id
where patient.is_active and (not patient.is_deceased or patient.deceased_on > person.end_on)
