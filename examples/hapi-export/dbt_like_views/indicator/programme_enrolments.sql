/*---
description: Clients enrolled in antenatal and postnatal care, family planning and the care of sick children.
grain: one row per Condition that is one of these programmes; a closed one was enrolled too
source: https://hl7.org/fhir/R4/condition.html
data_set: ECHIS_M
measures:
  antenatal: {data_element: ENROLLED_ANC, where: is_antenatal}
  postnatal: {data_element: ENROLLED_PNC, where: is_postnatal}
  family_planning: {data_element: ENROLLED_FP, where: is_family_planning}
  sick_child: {data_element: ENROLLED_SICK_CHILD, where: is_sick_child}
tests:
  not_null: [patient_id]
  unique: [resource_id]
---*/
with enrolment as (
  select
    id,
    patient_id,
    codes,
    location_id,
    -- half of the onsets are only a year ("2026"), which is no day: then the day of recording counts
    coalesce(onset_on, recorded_on) as enrolled_on
  from staging.condition
  where codes && array[
    'http://snomed.info/sct|77386006',
    'http://snomed.info/sct|133906008',
    'http://snomed.info/sct|408969000',
    'http://snomed.info/sct|275142008'
  ]
  and coalesce(verification_status, '') not in ('entered-in-error', 'refuted')
)

select
  place.org_unit_id,
  enrolment.enrolled_on as event_on,
  enrolment.patient_id,
  'http://snomed.info/sct|77386006' = any(enrolment.codes) as is_antenatal,
  'http://snomed.info/sct|133906008' = any(enrolment.codes) as is_postnatal,
  'http://snomed.info/sct|408969000' = any(enrolment.codes) as is_family_planning,
  'http://snomed.info/sct|275142008' = any(enrolment.codes) as is_sick_child,
  'Condition' as resource_type,
  enrolment.id as resource_id
from enrolment
left join lookup.place on enrolment.location_id = place.location_id
