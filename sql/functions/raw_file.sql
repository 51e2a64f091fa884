-- Files and tables of other programs: what was received held against what stands in raw.

-- Where a raw table's rows lie. Dropping, truncating and rewriting it changes the number.
create or replace function raw.table_node(table_name text)
returns oid language sql as $$
  select pg_relation_filenode(format('raw.%I', table_name)::regclass)
$$;

-- The temporary table of what one load received, empty.
create or replace function raw.begin_received()
returns void language sql as $$
  create temporary table if not exists received (id text, version_id bigint) on commit drop
$$;

-- Compare the temporary table `received` with a raw table: how many ids landed, at the newest version received or a
-- later one, the digest of their ids, and the ids that neither landed nor were refused.
create or replace function raw.compare_received(table_name text, of_type text)
returns table (landed_count bigint, landed_digest text, absent_ids text[]) language plpgsql as $$
begin
  analyze received;
  return query execute format(
    'with newest as (select id, max(version_id) as version_id from received group by id)
     select count(r.id), md5(coalesce(string_agg(r.id, '','' order by r.id collate "C"), '''')),
       coalesce(array_agg(n.id order by n.id collate "C") filter (
         where r.id is null and not exists (
           select from raw.rejected j where j.resource_type = $1 and coalesce(j.id, '''') = n.id)), ''{}'')
     from newest n left join raw.%I r on r.id = n.id and r.version_id >= n.version_id and not r.is_deleted',
    table_name) using of_type;
end $$;
