-- The words that may stand nowhere but in raw: `opensrp-dhis2 scan` asks here for them.

-- Where private words stand in a person's resource, and in what people write down.
create or replace function raw.private_path()
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
  (true, 'position', '$.position.longitude'), (true, 'position', '$.position.latitude'),
  (false, 'free text', 'strict $.**.valueString'), (false, 'free text', '$.note[*].text')
$$;

-- The distinct private words of the newest resources of each type. A resource's own id is a server's identifier, not
-- the person's; an answer of one word counts as free text only where few gave it, else it is an option. Of places,
-- those count whose names are not kept.
create or replace function raw.private_word(newest bigint)
returns table (kind text, word text)
language plpgsql stable as $$
declare
  found record;
begin
  for found in
    select c.relname, p.kind, p.path
    from pg_class c join raw.private_path() p
      on not p.of_people or c.relname in ('patient', 'related_person', 'person', 'practitioner', 'group', 'location')
    where c.relnamespace = 'raw'::regnamespace and c.relkind = 'r'
      and (select count(*) from pg_attribute a
           where a.attrelid = c.oid and a.attname in ('resource', 'is_deleted', 'load_id')) = 3
  loop
    return query execute format(
      'select case when %L = ''location'' and %L = ''name'' then ''place'' else %L end, v.word from (select * from raw.%I order by load_id desc limit $1) r
       cross join lateral (select x #>> ''{}'' as word from jsonb_path_query(r.resource, $2, silent => true) x) v
       where length(v.word) >= 4 and v.word <> r.id
         and (%L <> ''location'' or r.id not in (select p.location_id from lookup.place p where p.name is not null))
       group by v.word having %L <> ''free text'' or v.word like ''%% %%'' or count(distinct r.id) <= 3',
      found.relname, found.kind, found.kind, found.relname, found.relname, found.kind) using newest, found.path;
  end loop;
end $$;

-- The names and codes that may stand anywhere: DHIS2's own. A Location may be called after a person.
create or replace view lookup.known_name as
select name from lookup.org_unit
union
select code from lookup.org_unit
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
