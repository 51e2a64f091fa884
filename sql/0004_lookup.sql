-- lookup: DHIS2's metadata as last read, the calendar, and what each FHIR place and each total is called in DHIS2.
-- Every lookup table but place and period is replaced whole at each refresh.

create table lookup.server (
  target text primary key,             -- DHIS2_BASE_URL
  version text not null,               -- as /api/system/info says, for example 2.43.1
  default_category_option_combo_id text not null,
  refreshed_at timestamptz not null default now()
);

create table lookup.org_unit (
  org_unit_id text primary key, code text, name text not null, level integer not null,
  path text not null, opening_on date, closed_on date
);
create index on lookup.org_unit (code);

create table lookup.category_combo (
  category_combo_id text primary key, code text, name text not null, is_default boolean not null
);

create table lookup.category_option_combo (
  category_option_combo_id text primary key, code text, name text not null,
  category_combo_id text not null,
  option_codes text[] not null,         -- sorted; the combo is known by exactly these options
  option_ids text[] not null
);
create index on lookup.category_option_combo (category_combo_id, option_codes);

create table lookup.data_element (
  data_element_id text primary key, code text, name text not null, value_type text not null,
  aggregation_type text not null, zero_is_significant boolean not null, category_combo_id text not null,
  option_codes text[]                   -- null: no option set
);
create index on lookup.data_element (code);

create table lookup.data_set (
  data_set_id text primary key, code text, name text not null, period_type text not null,
  category_combo_id text not null, open_future_periods integer not null, expiry_days double precision not null,
  has_input_periods boolean not null, can_write boolean not null
);
create index on lookup.data_set (code);

create table lookup.data_set_element (
  data_set_id text not null, data_element_id text not null,
  category_combo_id text not null,      -- the effective one: the data set's own for this element, else the element's
  primary key (data_set_id, data_element_id)
);

create table lookup.data_set_org_unit (
  data_set_id text not null, org_unit_id text not null, primary key (data_set_id, org_unit_id)
);

create table lookup.period (
  period_type text not null, period text not null,   -- DHIS2's names: Monthly, 202401
  start_on date not null, end_on date not null,      -- both days belong to the period
  primary key (period_type, period)
);
create index on lookup.period (period_type, start_on, end_on);

create table lookup.place_mapping (     -- the country's place.csv
  location_id text primary key, org_unit text not null   -- a DHIS2 code or id
);

create table lookup.place (
  location_id text primary key, name text, org_unit_id text,
  rule text not null check (rule in ('mapping', 'identifier', 'code', 'ancestor', 'none')),
  reason text,                          -- why there is no org unit; null when there is one
  check ((org_unit_id is null) = (reason is not null))
);

create table lookup.target (            -- what one cell of an indicator is called in DHIS2
  indicator text not null, measure text not null, disaggregation text[] not null,
  data_set_id text not null, period_type text not null, data_element_id text not null,
  category_option_combo_id text not null, attribute_option_combo_id text not null,
  primary key (indicator, measure, disaggregation, data_set_id)
);

-- Say for every FHIR Location which DHIS2 org unit it is: the country's mapping first, then an identifier that is a
-- DHIS2 id, then one that is an org unit's code, then the nearest ancestor that has one. What has none is a row too.
-- Returns how many places each rule found.
create function lookup.resolve_places()
returns table (rule text, place_count bigint)
language plpgsql as $$
begin
  delete from lookup.place;
  insert into lookup.place (location_id, name, org_unit_id, rule, reason)
  with recursive location as (
    select l.id, l.resource ->> 'name' as name,
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
  select l.id, l.name, coalesce(d.org_unit_id, i.org_unit_id),
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
