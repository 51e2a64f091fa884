/*---
description: Who belongs to which Group, as the Group lists it today.
grain: one row per member of a Group, counted from 0
source: https://hl7.org/fhir/R4/group.html
key: group_id
indexes: [[patient_id]]
tests:
  not_null: [group_id, ordinal]
  unique: [[group_id, ordinal]]
  relationships: {patient_id: staging.patient.id}
---*/
with resource_group as (
  select * from raw."group" where not is_deleted
)

select
  resource_group.id as group_id,
  member.position::integer - 1 as ordinal,
  fhir.reference_id(member.content #>> '{entity,reference}', 'Patient') as patient_id,
  fhir.local_date(member.content #>> '{period,start}') as started_on,
  fhir.local_date(member.content #>> '{period,end}') as ended_on,
  coalesce(member.content -> 'inactive' = 'true', false) as is_inactive
from resource_group
cross join lateral jsonb_path_query(resource_group.resource, 'lax $.member[*]')
  with ordinality as member (content, position)
