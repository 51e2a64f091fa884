-- Deletions at the source.

-- Put tombstones over these, told as deleted at these versions, unless a later version was read meanwhile: the rows are
-- locked first, so that whoever loads one of them just now is waited for. Returns how many.
create or replace function raw.mark_gone(
  table_name text, of_type text, ids text[], version_ids bigint[], of_load bigint
)
returns bigint language plpgsql as $$
declare
  gone_ids text[]; marked bigint;
begin
  execute format(
    'with told as (
       select g.id, max(g.version_id) as version_id from unnest($1, $2) as g (id, version_id) group by g.id
     ), held as (
       select r.id, r.version_id from raw.%1$I r where r.id = any ($1) and not r.is_deleted order by r.id for update
     )
     select array_agg(h.id) from held h join told t using (id) where h.version_id <= t.version_id', table_name)
  into gone_ids using ids, version_ids;
  marked := raw.mark_deleted(table_name, of_type, coalesce(gone_ids, '{}'), of_load);
  update raw.load
  set read_count = read_count + (select count(distinct id) from unnest(ids) as g (id)), updated_count = updated_count + marked
  where load_id = of_load;
  return marked;
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

create or replace function raw.alive_count(table_name text)
returns bigint language plpgsql as $$
declare
  alive bigint;
begin
  execute format('select count(*) from raw.%1$I where not is_deleted', table_name) into alive;
  return alive;
end $$;
