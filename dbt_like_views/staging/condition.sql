/*---
description: Programme enrolments (antenatal care, tuberculosis, ...) and diagnoses.
grain: one row per Condition
source: https://hl7.org/fhir/R4/condition.html
indexes: [[onset_on], [patient_id]]
tests:
  not_null: [id]
  unique: [id]
  accepted_values: {is_modified: [false]}
---*/
with condition as (
  select * from raw.condition where not is_deleted
)

select
  condition.id,
  fhir.codes(condition.resource -> 'code') as codes,
  fhir.codes(condition.resource -> 'category') as category_codes,
  condition.resource #>> '{verificationStatus,coding,0,code}' as verification_status,
  -- the app closes a condition with SNOMED's "resolved" in place of HL7's code
  coalesce(
    condition.resource #>> '{clinicalStatus,coding,0,code}' in ('resolved', 'inactive', 'remission', '370996005'), false
  ) as is_closed,
  fhir.reference_id(condition.resource #>> '{subject,reference}', 'Patient') as patient_id,
  fhir.reference_id(condition.resource #>> '{subject,reference}', 'Group') as group_id,
  fhir.reference_id(condition.resource #>> '{encounter,reference}', 'Encounter') as encounter_id,
  coalesce(
    fhir.event_date(condition.resource ->> 'onsetDateTime', condition.last_updated),
    fhir.event_date(condition.resource #>> '{onsetPeriod,start}', condition.last_updated)
  ) as onset_on,
  fhir.event_date(condition.resource ->> 'recordedDate', condition.last_updated) as recorded_on,
  fhir.local_date(condition.resource ->> 'abatementDateTime') as abated_on,
  tag.related_location_id as location_id,
  tag.worker_location_id,
  tag.practitioner_id,
  tag.care_team_id,
  tag.organization_id,
  condition.resource ? 'modifierExtension' as is_modified,
  condition.last_updated as updated_at
from condition
cross join lateral fhir.tags(condition.resource) as tag
