/*---
description: Households, commodities and the other things that OpenSRP keeps as Groups, without the names of persons.
grain: one row per Group
source: https://hl7.org/fhir/R4/group.html
tests:
  not_null: [id]
  unique: [id]
  accepted_values: {is_modified: [false]}
---*/
with resource_group as (
  select * from raw."group" where not is_deleted
)

select
  resource_group.id,
  resource_group.resource ->> 'type' as type,
  fhir.codes(resource_group.resource -> 'code') as codes,
  -- a household's name is a family's
  case when resource_group.resource ->> 'type' in ('medication', 'device', 'substance')
    then resource_group.resource ->> 'name'
  end as commodity,
  coalesce(resource_group.resource -> 'active' <> 'false', true) as is_active,
  tag.related_location_id as location_id,
  tag.worker_location_id,
  tag.practitioner_id,
  tag.care_team_id,
  tag.organization_id,
  resource_group.resource ? 'modifierExtension' as is_modified,
  resource_group.last_updated as updated_at
from resource_group
cross join lateral fhir.tags(resource_group.resource) as tag
