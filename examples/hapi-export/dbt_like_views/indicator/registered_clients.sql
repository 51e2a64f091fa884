/*---
description: Clients registered by the end of the quarter who are active today.
grain: one row per client and quarter that has begun
source: https://hl7.org/fhir/R4/patient.html
data_set: ECHIS_Q
measures:
  clients: {data_element: CLIENTS_REGISTERED}
disaggregation:
  age_group: {category: AGE5, options: {"<5": AGE_LT5, "5-14": AGE_5_14, "15+": AGE_15P}}
  sex: {category: SEX, options: {female: SEX_F, male: SEX_M}}
tests:
  unique: [[resource_id, event_on]]
---*/
with quarter as (
  select
    period_type,
    end_on
  from lookup.period
  where period_type = 'Quarterly' and start_on <= fhir.today()
),

-- one that the worker never finished registered the client all the same
registration as (
  select
    patient_id,
    min(started_on) as registered_on
  from staging.encounter
  where 'http://snomed.info/sct|184048005' = any(type_codes)
    and status in ('finished', 'in-progress')
    and started_on is not null
  group by patient_id
),

client as (
  select
    patient.id,
    patient.gender,
    patient.location_id,
    quarter.period_type,
    quarter.end_on,
    fhir.age_years(patient.birth_on, quarter.end_on) as age
  from registration
  inner join staging.patient on registration.patient_id = patient.id
  inner join quarter on registration.registered_on <= quarter.end_on
  where patient.is_active
    and (not patient.is_deceased or patient.deceased_on > quarter.end_on)
)

select
  place.org_unit_id,
  client.end_on as event_on,
  client.period_type,
  case when client.age < 5 then '<5' when client.age < 15 then '5-14' when client.age >= 15 then '15+' end as age_group,
  client.gender as sex,
  'Patient' as resource_type,
  client.id as resource_id
from client
left join lookup.place on client.location_id = place.location_id
