/*---
description: Clients for whom the form says that they had fever.
grain: one row per QuestionnaireResponse whose question "fever" is answered with yes
source: https://hl7.org/fhir/R4/questionnaireresponse.html
data_set: ECHIS_W
measures:
  reports: {data_element: FEVER_REPORTS}
  clients: {data_element: FEVER_CLIENTS, distinct: patient_id}
tests:
  not_null: [patient_id]
  unique: [resource_id]
---*/
with feverish as (
  select distinct questionnaire_response_id
  from staging.questionnaire_response_answer
  where link_id = 'fever' and is_value_true
),

form as (
  select questionnaire_response.*
  from staging.questionnaire_response
  inner join feverish on questionnaire_response.id = feverish.questionnaire_response_id
  where questionnaire_response.status in ('completed', 'amended')
)

select
  place.org_unit_id,
  form.authored_on as event_on,
  form.patient_id,
  'QuestionnaireResponse' as resource_type,
  form.id as resource_id
from form
left join lookup.place on form.location_id = place.location_id
