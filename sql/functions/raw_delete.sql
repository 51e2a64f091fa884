-- Deletions at the source, and both sides' ids compared.

-- The temporary tables of a search, empty: `gone` for deletions told, `seen` for every id at the source.
create or replace function raw.begin_delete_search()
returns void language plpgsql as $$
begin
  create temporary table if not exists gone (id text, version_id bigint) on commit drop;
  create temporary table if not exists seen (
    id text, version_id bigint, last_updated timestamptz, tags_md5 text) on commit drop;
end $$;

-- Put tombstones over the rows of the temporary table `gone`, unless a later version was read meanwhile: the rows are
-- locked first, so that whoever loads one of them just now is waited for. Returns how many.
create or replace function raw.mark_gone(table_name text, of_type text, of_load bigint)
returns bigint language plpgsql as $$
declare
  ids text[]; marked bigint;
begin
  execute format(
    'with held as (
       select r.id, r.version_id from raw.%1$I r where r.id in (select id from gone) and not r.is_deleted
       order by r.id for update
     )
     select array_agg(h.id)
     from held h join (select id, max(version_id) as version_id from gone group by id) g using (id)
     where h.version_id <= g.version_id', table_name) into ids;
  marked := raw.mark_deleted(table_name, of_type, coalesce(ids, '{}'), of_load);
  update raw.load set read_count = (select count(distinct id) from gone), updated_count = marked
  where load_id = of_load;
  return marked;
end $$;

-- Tags of a resource as one value, whatever their order; an empty one where it has none.
create or replace function raw.tags_md5(resource jsonb)
returns text language sql immutable as $$
  select md5(coalesce(string_agg(
    concat(tag ->> 'system', '|', tag ->> 'code'), e'\n' order by concat(tag ->> 'system', '|', tag ->> 'code') collate "C"
  ), ''))
  from jsonb_array_elements(resource -> 'meta' -> 'tag') as tag
$$;

-- Compare the temporary table `seen` with a raw table. A difference is
-- gone: alive here, unknown there;  missing: there, and not here or deleted here;  older: an older version here;
-- rolled_back: a lower version there, and no later stamp: the source was put back to a backup;
-- retagged: the same version with other tags ($meta-add makes no version; where the source tells no tags, none differ).
create or replace function raw.compare_seen(table_name text)
returns table (id text, version_id bigint, difference text) language plpgsql as $$
begin
  return query execute format(
    'with there as (
       select distinct on (s.id) s.* from seen s order by s.id, s.last_updated desc, s.version_id desc
     ), compared as (
       select coalesce(r.id, t.id) as id, coalesce(r.version_id, t.version_id) as version_id,
         case
           when t.id is null then case when not r.is_deleted then ''gone'' end
           when r.id is null then ''missing''
           when t.version_id < r.version_id and t.last_updated <= r.last_updated then ''rolled_back''
           when r.is_deleted then ''missing''
           when t.version_id > r.version_id or t.last_updated > r.last_updated then ''older''
           when t.tags_md5 <> raw.tags_md5(r.resource) then ''retagged''
         end as difference
       from raw.%1$I r full join there t on t.id = r.id
     )
     select c.id, c.version_id, c.difference from compared c where c.difference is not null order by c.id', table_name);
end $$;

-- Let any version replace these, but for what was read since a load: their old bodies go to raw.superseded, and the next
-- merge takes what it is given.
create or replace function raw.restart_versions(table_name text, of_type text, ids text[], of_load bigint, since_load bigint)
returns void language plpgsql as $$
declare
  old_ids text[];
begin
  execute format(
    'with held as (select id from raw.%I where id = any ($1) and load_id <= $2 order by id for update)
     select coalesce(array_agg(id), ''{}'') from held', table_name) into old_ids using ids, since_load;
  perform raw.mark_deleted(table_name, of_type, old_ids, of_load);
  execute format('update raw.%I set version_id = 0 where id = any ($1)', table_name) using old_ids;
end $$;

-- What is alive here at a later version than its deletion that a history told.
create or replace function raw.later_than(table_name text, ids text[], version_ids bigint[])
returns table (id text, version_id bigint) language plpgsql as $$
begin
  return query execute format(
    'select r.id, r.version_id from unnest($1, $2) as g (id, version_id) join raw.%I r on r.id = g.id
     where not r.is_deleted and r.version_id > g.version_id', table_name) using ids, version_ids;
end $$;

create or replace function raw.alive_count(table_name text)
returns bigint language plpgsql as $$
declare
  alive bigint;
begin
  execute format('select count(*) from raw.%1$I where not is_deleted', table_name) into alive;
  return alive;
end $$;
