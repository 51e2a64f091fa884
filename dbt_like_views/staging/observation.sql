/*---
description: Measures, test results, answers, stock movements and community signals, without free text.
grain: one row per Observation
source: https://hl7.org/fhir/R4/observation.html
indexes: [[effective_on], [encounter_id]]
tests:
  not_null: [id, status]
  unique: [id]
  accepted_values: {is_modified: [false]}
---*/
with observation as (
  select * from raw.observation where not is_deleted
)

select
  observation.id,
  observation.resource ->> 'status' as status,
  fhir.codes(observation.resource -> 'category') as category_codes,
  fhir.codes(observation.resource -> 'code') as codes,
  fhir.reference_id(observation.resource #>> '{subject,reference}', 'Patient') as patient_id,
  fhir.reference_id(observation.resource #>> '{subject,reference}', 'Group') as group_id,
  fhir.reference_id(observation.resource #>> '{encounter,reference}', 'Encounter') as encounter_id,
  fhir.event_date(
    coalesce(
      observation.resource ->> 'effectiveDateTime', observation.resource #>> '{effectivePeriod,start}',
      observation.resource ->> 'effectiveInstant', observation.resource ->> 'issued'
    ),
    observation.last_updated
  ) as effective_on,
  fhir.instant(coalesce(
    observation.resource ->> 'effectiveDateTime', observation.resource #>> '{effectivePeriod,start}',
    observation.resource ->> 'effectiveInstant', observation.resource ->> 'issued'
  )) as effective_at,
  coalesce(
    fhir.number(observation.resource #> '{valueQuantity,value}'), fhir.number(observation.resource -> 'valueInteger')
  ) as value,
  observation.resource #>> '{valueQuantity,unit}' as value_unit,
  fhir.codes(observation.resource -> 'valueCodeableConcept') as value_codes,
  observation.resource -> 'valueBoolean' = 'true' as is_value_true,
  fhir.local_date(observation.resource ->> 'valueDateTime') as value_on,
  coalesce(
    fhir.reference_id(observation.resource #>> '{subject,reference}', 'Location'),
    fhir.reference_id(observation.resource #>> '{focus,0,reference}', 'Location'),
    tag.related_location_id
  ) as location_id,
  tag.worker_location_id,
  tag.practitioner_id,
  tag.care_team_id,
  tag.organization_id,
  observation.resource ? 'modifierExtension' as is_modified,
  observation.last_updated as updated_at
from observation
cross join lateral fhir.tags(observation.resource) as tag
