/*---
description: Places and how they lie in each other, without names and positions (lookup.place has the names).
grain: one row per Location
source: https://hl7.org/fhir/R4/location.html
tests:
  not_null: [id]
  unique: [id]
  relationships: {parent_id: staging.location.id}
---*/
with location as (
  select * from raw.location where not is_deleted
)

select
  location.id,
  location.resource ->> 'status' as status,
  fhir.codes(location.resource -> 'type') as type_codes,
  fhir.codes(location.resource -> 'physicalType') as physical_type_codes,
  fhir.reference_id(location.resource #>> '{partOf,reference}', 'Location') as parent_id,
  location.resource ? 'modifierExtension' as is_modified,
  location.last_updated as updated_at
from location
