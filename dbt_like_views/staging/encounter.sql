/*---
description: Visits and other contacts.
grain: one row per Encounter
source: https://hl7.org/fhir/R4/encounter.html
indexes: [[started_on], [patient_id]]
tests:
  not_null: [id, status]
  unique: [id]
  accepted_values: {is_modified: [false]}
---*/
with encounter as (
  select * from raw.encounter where not is_deleted
)

select
  encounter.id,
  encounter.resource ->> 'status' as status,
  encounter.resource #>> '{class,code}' as class_code,
  fhir.codes(encounter.resource -> 'type') as type_codes,
  fhir.codes(encounter.resource -> 'serviceType') as service_type_codes,
  fhir.codes(encounter.resource -> 'reasonCode') as reason_codes,
  fhir.reference_id(encounter.resource #>> '{subject,reference}', 'Patient') as patient_id,
  fhir.reference_id(encounter.resource #>> '{subject,reference}', 'Group') as group_id,
  fhir.event_date(
    coalesce(encounter.resource #>> '{period,start}', encounter.resource #>> '{period,end}'), encounter.last_updated
  ) as started_on,
  fhir.instant(encounter.resource #>> '{period,start}') as started_at,
  fhir.instant(encounter.resource #>> '{period,end}') as ended_at,
  coalesce(
    fhir.reference_id(encounter.resource #>> '{location,0,location,reference}', 'Location'), tag.related_location_id
  ) as location_id,
  tag.worker_location_id,
  tag.practitioner_id,
  tag.care_team_id,
  tag.organization_id,
  encounter.resource ? 'modifierExtension' as is_modified,
  encounter.last_updated as updated_at
from encounter
cross join lateral fhir.tags(encounter.resource) as tag
