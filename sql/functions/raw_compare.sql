-- What a source has of a type, held to its raw table: the one comparison, of all ids or of some.

-- Make or empty the temporary table for what a source has. An id may come in several versions; time and tags are null
-- where the source does not tell them.
create or replace function raw.begin_comparison()
returns regclass language plpgsql as $$
begin
  create temporary table if not exists at_source (
    id text, version_id bigint, last_updated timestamptz, tags_md5 text) on commit drop;
  truncate at_source;
  return 'pg_temp.at_source'::regclass;
end $$;

-- Tags of a resource as one value, whatever their order; an empty one where it has none.
create or replace function raw.tags_md5(resource jsonb)
returns text language sql immutable as $$
  select md5(coalesce(string_agg(
    concat(tag ->> 'system', '|', tag ->> 'code'), e'\n' order by concat(tag ->> 'system', '|', tag ->> 'code') collate "C"
  ), ''))
  from jsonb_array_elements(resource -> 'meta' -> 'tag') as tag
$$;

-- Return each id that differs, with the version here, or there where it is not here. A difference is
-- gone: alive here, unknown there (only where `is_whole` says that at_source holds all that the source has);
-- missing: there, and not here or deleted here;  older: an older version here;
-- rolled_back: a lower version there, and no later stamp: the source was put back to a backup;
-- retagged: the same version with other tags ($meta-add makes no version; where the source tells no tags, none differ);
-- restamped: the same version there, with an earlier stamp.
-- is_rejected: refused here, in the load that wrote the row or in a later one. One pass over the index for some ids
-- touches a twentieth of the blocks that a look-up of each does.
create or replace function raw.compare(table_name text, of_type text, at_source regclass, is_whole boolean)
returns table (
  id text, version_id bigint, difference text, is_here boolean, is_rejected boolean,
  here_at timestamptz, there_at timestamptz
)
language plpgsql as $$
begin
  if is_whole then execute format('analyze %s', at_source); end if;
  return query execute format(
    'with there as (
       select distinct on (s.id collate "C") s.id, s.version_id, s.last_updated, s.tags_md5 from %1$s s
       order by s.id collate "C", s.last_updated desc, s.version_id desc
     ), compared as (
       select coalesce(r.id, t.id) as id, coalesce(r.version_id, t.version_id) as version_id,
         case
           when t.id is null then case when not r.is_deleted then ''gone'' end
           when r.id is null then ''missing''
           when t.version_id < r.version_id and (t.last_updated > r.last_updated) is not true then ''rolled_back''
           when r.is_deleted then ''missing''
           when t.version_id > r.version_id or t.last_updated > r.last_updated then ''older''
           when t.tags_md5 is not null and t.tags_md5 <> raw.tags_md5(r.resource) then ''retagged''
           when t.last_updated < r.last_updated then ''restamped''
         end as difference,
         r.id is not null and not r.is_deleted as is_here, r.load_id,
         r.last_updated as here_at, t.last_updated as there_at
       from (select * from raw.%2$I h %3$s) r %4$s join there t on t.id = r.id
     )
     select c.id, c.version_id, c.difference, c.is_here,
       exists (
         select from raw.rejected j where j.resource_type = $1 and coalesce(j.id, '''') = c.id
           and (not c.is_here or j.load_id >= c.load_id)),
       c.here_at, c.there_at
     from compared c where c.difference is not null order by c.id',
    at_source, table_name,
    case when not is_whole then format('where h.id = any (array(select s.id from %s s))', at_source) end,
    case when is_whole then 'full' else 'right' end
  ) using of_type;
end $$;

-- Count the ids of at_source that are here, at this version and stamp or later ones; return the digest of these ids, the
-- others, and which of the others were refused here.
create or replace function raw.count_loaded(table_name text, of_type text, at_source regclass)
returns table (loaded_count bigint, loaded_digest text, absent_ids text[], rejected_ids text[])
language plpgsql as $$
begin
  return query execute format(
    'with compared as (
       select s.id, coalesce(not d.is_here or d.difference = ''older'', false) as is_absent, d.is_rejected
       from (select distinct id from %s) s left join raw.compare($1, $2, $3, false) d on d.id = s.id
     )
     select count(*) filter (where not is_absent),
       md5(coalesce(string_agg(id, '','' order by id collate "C") filter (where not is_absent), '''')),
       coalesce(array_agg(id order by id collate "C") filter (where is_absent), ''{}''),
       coalesce(array_agg(id order by id collate "C") filter (where is_absent and is_rejected), ''{}'')
     from compared', at_source) using table_name, of_type, at_source;
end $$;
