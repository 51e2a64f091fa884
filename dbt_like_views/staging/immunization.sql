/*---
description: Doses given, and doses noted as not given.
grain: one row per Immunization
source: https://hl7.org/fhir/R4/immunization.html
indexes: [[occurred_on], [patient_id]]
tests:
  not_null: [id, status]
  unique: [id]
  accepted_values: {is_modified: [false]}
---*/
with immunization as (
  select * from raw.immunization where not is_deleted
)

select
  immunization.id,
  immunization.resource ->> 'status' as status,
  fhir.codes(immunization.resource -> 'vaccineCode') as vaccine_codes,
  immunization.resource #>> '{vaccineCode,text}' as vaccine,
  fhir.number(immunization.resource #> '{protocolApplied,0,doseNumberPositiveInt}') as dose_number,
  fhir.reference_id(immunization.resource #>> '{patient,reference}', 'Patient') as patient_id,
  fhir.reference_id(immunization.resource #>> '{encounter,reference}', 'Encounter') as encounter_id,
  fhir.event_date(immunization.resource ->> 'occurrenceDateTime', immunization.last_updated) as occurred_on,
  fhir.instant(immunization.resource ->> 'occurrenceDateTime') as occurred_at,
  coalesce(
    fhir.reference_id(immunization.resource #>> '{location,reference}', 'Location'), tag.related_location_id
  ) as location_id,
  tag.worker_location_id,
  tag.practitioner_id,
  tag.care_team_id,
  tag.organization_id,
  immunization.resource ? 'modifierExtension' as is_modified,
  immunization.last_updated as updated_at
from immunization
cross join lateral fhir.tags(immunization.resource) as tag
