-- Ways in beside a FHIR server: which files of NDJSON were loaded, and what was received held against what stands in raw.

create table raw.loaded_file (
  source text not null, resource_type text not null, file_name text not null,  -- below the folder that source names
  state text not null check (state in ('loaded', 'broken')), reason text,
  fingerprint text not null,             -- of size, time, etag: as the storage tells them without the content
  digest text,                           -- sha256 of the content, unpacked
  line_count bigint,                     -- as they were read, less blank ones
  inserted_count bigint, updated_count bigint,
  unchanged_count bigint,                -- this version or a later one was here, of another line of the file too
  rejected_count bigint,                 -- in raw.rejected instead
  table_node oid,                        -- where Postgres kept the raw table: elsewhere now, it was emptied since
  loaded_at timestamptz not null default now(),
  primary key (source, resource_type, file_name),
  check (state = 'broken' or line_count = inserted_count + updated_count + unchanged_count + rejected_count)
);

-- Where a raw table's rows lie. Dropping, truncating and rewriting it changes the number.
create function raw.table_node(table_name text)
returns oid language sql as $$
  select pg_relation_filenode(format('raw.%I', table_name)::regclass)
$$;

-- The temporary table of what one load received, empty.
create function raw.begin_received()
returns void language sql as $$
  create temporary table if not exists received (id text, version_id bigint) on commit drop
$$;

-- Compare the temporary table `received` with a raw table: how many ids landed, at the newest version received or a
-- later one, the digest of their ids, and the ids that neither landed nor were refused.
create function raw.compare_received(table_name text, of_type text)
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
