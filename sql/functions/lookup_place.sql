-- Places: which DHIS2 org unit each FHIR Location is, and what it may be called.

-- Give what kind of place a Location is: the codes of its physicalType and of its types, and their systems.
create or replace function lookup.place_kinds(location jsonb)
returns text[] language sql immutable parallel safe as $$
  select array(
    select k.kind #>> '{}'
    from (values ('$.physicalType.coding[*].code'::jsonpath), ('$.type[*].coding[*].code'), ('$.type[*].coding[*].system')) p (path)
    cross join lateral jsonb_path_query(location, p.path, silent => true) k (kind)
  )
$$;

-- Give the name that others may see: of a place of an administrative kind, or one that is an org unit itself, but never
-- of a home (a house, a patient's residence), nor one with a telephone number in it.
create or replace function lookup.place_name(location jsonb, is_mapped boolean, administrative text[])
returns text language sql immutable parallel safe as $$
  select location ->> 'name'
  where (is_mapped or lookup.place_kinds(location) && administrative)
    and not lookup.place_kinds(location) && array['ho', 'PTRES'] and location ->> 'name' !~ '(\d[ ./-]?){7}'
$$;

-- Say for every FHIR Location which DHIS2 org unit it is: the country's mapping first, then an identifier that is a
-- DHIS2 id, then one that is an org unit's code, then the nearest ancestor that has one. What has none is a row too.
-- `administrative`: the codes of physicalType and of type, and the systems of type, whose Locations keep their names.
-- Returns how many places each rule found.
create or replace function lookup.resolve_places(administrative text[])
returns table (rule text, place_count bigint)
language plpgsql as $$
begin
  delete from lookup.place;
  insert into lookup.place (location_id, name, org_unit_id, rule, reason)
  with recursive location as (
    select l.id, l.resource,
      fhir.reference_id(l.resource -> 'partOf' ->> 'reference', 'Location') as parent_id,
      array(select btrim(i ->> 'value') from jsonb_array_elements(
        case when jsonb_typeof(l.resource -> 'identifier') = 'array' then l.resource -> 'identifier' end) i) as codes
    from raw.location l where not l.is_deleted
  ), candidate as (
    select l.id, 1 as rank, 'mapping' as rule, u.org_unit_id
    from location l
    join lookup.place_mapping m on m.location_id = l.id
    left join lookup.org_unit u on m.org_unit in (u.org_unit_id, u.code)
    union all
    select l.id, 2, 'identifier', u.org_unit_id from location l join lookup.org_unit u on u.org_unit_id = any (l.codes)
    union all
    select l.id, 3, 'code', u.org_unit_id from location l join lookup.org_unit u on u.code = any (l.codes)
  ), direct as (
    select distinct on (c.id) c.id, c.rule, c.org_unit_id from candidate c order by c.id, c.rank, c.org_unit_id
  ), climb as (
    select l.id, l.parent_id as ancestor_id, array[l.id] as path
    from location l where not exists (select from direct d where d.id = l.id)
    union all
    select c.id, l.parent_id, c.path || l.id
    from climb c join location l on l.id = c.ancestor_id
    where not l.id = any (c.path) and not exists (select from direct d where d.id = l.id)
  ), inherited as (
    select c.id, d.org_unit_id from climb c join direct d on d.id = c.ancestor_id
  )
  select l.id,
    lookup.place_name(l.resource, d.org_unit_id is not null, administrative),
    coalesce(d.org_unit_id, i.org_unit_id),
    case when d.id is not null then d.rule when i.id is not null then 'ancestor' else 'none' end,
    case
      when coalesce(d.org_unit_id, i.org_unit_id) is not null then null
      when d.id is not null then 'place.csv maps it to an org unit that DHIS2 does not have'
      when i.id is not null then 'its nearest mapped ancestor has no org unit in DHIS2'
      when l.parent_id is not null and not exists (select from location p where p.id = l.parent_id)
        then 'its parent Location is missing, and it has no DHIS2 code of its own'
      else 'neither it nor any ancestor has a DHIS2 code: map it in place.csv'
    end
  from location l left join direct d on d.id = l.id left join inherited i on i.id = l.id;
  return query select p.rule, count(*) from lookup.place p group by p.rule;
end $$;
