/*---
description: Forms as they were filled in; the answers stand in staging.questionnaire_response_answer.
grain: one row per QuestionnaireResponse
source: https://hl7.org/fhir/R4/questionnaireresponse.html
indexes: [[authored_on]]
tests:
  not_null: [id, status]
  unique: [id]
---*/
with response as (
  select * from raw.questionnaire_response where not is_deleted
)

select
  response.id,
  response.resource ->> 'status' as status,
  substring(response.resource ->> 'questionnaire' from '([^/|]+)(?:\|[^/]*)?$') as questionnaire_id,
  fhir.reference_id(response.resource #>> '{subject,reference}', 'Patient') as patient_id,
  fhir.reference_id(response.resource #>> '{subject,reference}', 'Group') as group_id,
  fhir.reference_id(response.resource #>> '{encounter,reference}', 'Encounter') as encounter_id,
  fhir.event_date(response.resource ->> 'authored', response.last_updated) as authored_on,
  fhir.instant(response.resource ->> 'authored') as authored_at,
  tag.related_location_id as location_id,
  tag.worker_location_id,
  tag.practitioner_id,
  tag.care_team_id,
  tag.organization_id,
  response.resource ? 'modifierExtension' as is_modified,
  response.last_updated as updated_at
from response
cross join lateral fhir.tags(response.resource) as tag
