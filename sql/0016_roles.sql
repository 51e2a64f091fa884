-- Who may read what: the role opensrp_reporting reads totals, DHIS2's names and the ledger, never raw, staging, member.
-- And what no one who reads those may find in them: `opensrp-dhis2 scan` asks here for the words to look for.

-- Let the role opensrp_reporting read; nothing is done where the cluster does not have it. To be called again, by the
-- account that builds, after an administrator has made the role.
-- The relations that a build drops and makes anew are readable through default privileges of the account that builds.
create function warehouse.allow_reporting()
returns boolean language plpgsql as $$
declare
  open_schema text;
begin
  if not exists (select from pg_roles where rolname = 'opensrp_reporting') then return false; end if;
  foreach open_schema in array array['indicator', 'lookup', 'outbox'] loop
    execute format('grant usage on schema %I to opensrp_reporting', open_schema);
    execute format('grant select on all tables in schema %I to opensrp_reporting', open_schema);
    execute format('alter default privileges in schema %I grant select on tables to opensrp_reporting', open_schema);
  end loop;
  grant usage on schema fhir to opensrp_reporting;  -- indicator.left_out calls them; they read no table
  revoke all on schema raw, staging, member from public, opensrp_reporting;
  return true;
end $$;

-- Roles belong to the whole cluster: another database may have made it, or be making it just now.
do $$
begin
  if not exists (select from pg_roles where rolname = 'opensrp_reporting') then
    create role opensrp_reporting nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;
  when insufficient_privilege then
    raise notice 'this account may not create roles: let an administrator run "create role opensrp_reporting nologin", '
      'then run "select warehouse.allow_reporting()" with this account';
end $$;

select warehouse.allow_reporting();

-- Where private words stand in a person's resource, and in what people write down.
create function raw.private_path()
returns table (of_people boolean, kind text, path jsonpath)
language sql immutable as $$
  values
  (true, 'name', '$.name[*].family'::jsonpath), (true, 'name', '$.name[*].given[*]'), (true, 'name', '$.name[*].text'),
  (true, 'name', '$.name ? (@.type() == "string")'),
  (true, 'name', '$.contact[*].name.family'), (true, 'name', '$.contact[*].name.given[*]'),
  (true, 'name', '$.contact[*].name.text'),
  (true, 'phone', '$.telecom[*].value'), (true, 'phone', '$.contact[*].telecom[*].value'),
  (true, 'identifier', '$.identifier[*].value'),
  (true, 'address', '$.address[*].line[*]'), (true, 'address', '$.address[*].text'),
  (true, 'position', 'strict $.**.valueDecimal'),
  (false, 'free text', 'strict $.**.valueString'), (false, 'free text', '$.note[*].text')
$$;

-- The distinct private words of the newest resources of each type. A resource's own id is a server's identifier, not
-- the person's; an answer of one word counts as free text only where few gave it, else it is an option.
create function raw.private_word(newest bigint)
returns table (kind text, word text)
language plpgsql stable as $$
declare
  found record;
begin
  for found in
    select c.relname, p.kind, p.path
    from pg_class c join raw.private_path() p
      on not p.of_people or c.relname in ('patient', 'related_person', 'person', 'practitioner', 'group')
    where c.relnamespace = 'raw'::regnamespace and c.relkind = 'r'
      and (select count(*) from pg_attribute a
           where a.attrelid = c.oid and a.attname in ('resource', 'is_deleted', 'load_id')) = 3
  loop
    return query execute format(
      'select %L::text, v.word from (select * from raw.%I order by load_id desc limit $1) r
       cross join lateral (select x #>> ''{}'' as word from jsonb_path_query(r.resource, $2, silent => true) x) v
       where length(v.word) >= 4 and v.word <> r.id
       group by v.word having %L <> ''free text'' or v.word like ''%% %%'' or count(distinct r.id) <= 3',
      found.kind, found.relname, found.kind) using newest, found.path;
  end loop;
end $$;

-- The names and codes that may stand anywhere: DHIS2's own, and those of places.
create view lookup.known_name as
select name from lookup.org_unit
union
select code from lookup.org_unit
union
select name from lookup.place
union
select name from lookup.data_set
union
select code from lookup.data_set
union
select name from lookup.data_element
union
select code from lookup.data_element
union
select name from lookup.category_option_combo;
