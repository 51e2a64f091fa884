/*---
description: Registered clients living in a household at the end of the quarter.
grain: one row per client and quarter that has ended
source: https://hl7.org/fhir/R4/patient.html
data_set: CHW_Q
measures:
  clients: {data_element: POPULATION}
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
  where period_type = 'Quarterly' and end_on < fhir.today()
),

household as (
  select
    id,
    location_id,
    worker_location_id
  from staging."group"
  where is_active and 'http://snomed.info/sct|35359004' = any(codes)
),

-- a client listed by two households counts once, where they were listed last
resident as (
  select distinct on (group_member.patient_id, quarter.end_on)
    group_member.patient_id,
    quarter.period_type,
    quarter.end_on,
    household.location_id,
    household.worker_location_id
  from staging.group_member
  inner join household on group_member.group_id = household.id
  inner join quarter
    on quarter.end_on >= coalesce(group_member.started_on, quarter.end_on)
    and quarter.end_on < coalesce(group_member.ended_on, quarter.end_on + 1)
  where not group_member.is_inactive
  order by group_member.patient_id asc, quarter.end_on asc, group_member.started_on desc nulls last, group_member.group_id asc
),

client as (
  select
    resident.*,
    patient.gender,
    patient.location_id as own_location_id,
    fhir.age_years(patient.birth_on, resident.end_on) as age
  from resident
  inner join staging.patient on resident.patient_id = patient.id
  where patient.is_active
    and patient.replaced_by_id is null
    and coalesce(patient.birth_on <= resident.end_on, true)
    and (not patient.is_deceased or patient.deceased_on > resident.end_on)
)

select
  place.org_unit_id,
  client.end_on as event_on,
  client.period_type,
  case when client.age < 5 then '<5' when client.age < 15 then '5-14' when client.age >= 15 then '15+' end as age_group,
  client.gender as sex,
  'Patient' as resource_type,
  client.patient_id as resource_id
from client
left join lookup.place
  on place.location_id = coalesce(client.location_id, client.own_location_id, client.worker_location_id)
