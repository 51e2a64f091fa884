/*---
description: Clients, without names, identifiers, phones and addresses.
grain: one row per Patient
source: https://hl7.org/fhir/R4/patient.html
tests:
  not_null: [id]
  unique: [id]
  accepted_values: {is_modified: [false], gender: [female, male, other, unknown]}
---*/
with patient as (
  select * from raw.patient where not is_deleted
)

select
  patient.id,
  patient.resource ->> 'gender' as gender,
  fhir.partial_date(patient.resource ->> 'birthDate') as birth_on,
  fhir.date_precision(patient.resource ->> 'birthDate') as birth_precision,
  coalesce(patient.resource -> 'active' <> 'false', true) as is_active,
  coalesce(patient.resource -> 'deceasedBoolean' = 'true', patient.resource ? 'deceasedDateTime') as is_deceased,
  fhir.local_date(patient.resource ->> 'deceasedDateTime') as deceased_on,
  fhir.reference_id(
    jsonb_path_query_first(patient.resource, 'lax $.link[*] ? (@.type == "replaced-by").other.reference') #>> '{}',
    'Patient'
  ) as replaced_by_id,
  tag.related_location_id as location_id,
  tag.worker_location_id,
  tag.practitioner_id,
  tag.care_team_id,
  tag.organization_id,
  patient.resource ? 'modifierExtension' as is_modified,
  patient.last_updated as updated_at
from patient
cross join lateral fhir.tags(patient.resource) as tag
