/*---
description: The parts of Observations that have several, such as blood pressure or a running stock total.
grain: one row per component of an Observation, counted from 0
source: https://hl7.org/fhir/R4/observation.html
key: observation_id
tests:
  not_null: [observation_id, ordinal]
  unique: [[observation_id, ordinal]]
---*/
with observation as (
  select * from raw.observation where not is_deleted
)

select
  observation.id as observation_id,
  component.position::integer - 1 as ordinal,
  fhir.codes(component.content -> 'code') as codes,
  coalesce(
    fhir.number(component.content #> '{valueQuantity,value}'), fhir.number(component.content -> 'valueInteger')
  ) as value,
  component.content #>> '{valueQuantity,unit}' as value_unit,
  fhir.codes(component.content -> 'valueCodeableConcept') as value_codes,
  component.content -> 'valueBoolean' = 'true' as is_value_true,
  fhir.local_date(component.content ->> 'valueDateTime') as value_on
from observation
cross join lateral jsonb_path_query(observation.resource, 'lax $.component[*]')
  with ordinality as component (content, position)
