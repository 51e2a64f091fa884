-- How resources come into the raw tables.

-- Resources are compressed with lz4 where this Postgres was built with it (the embedded one is not).
create or replace function raw.compress_resources(table_name text)
returns void language plpgsql as $$
begin
  if exists (select from pg_settings where name = 'default_toast_compression' and 'lz4' = any (enumvals)) then
    execute format('alter table raw.%I alter column resource set compression lz4', table_name);
  end if;
end $$;

create or replace function raw.ensure_table(table_name text)
returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('raw.ensure_table'));
  if to_regclass(format('raw.%I', table_name)) is not null then return; end if;
  execute format(
    'create table raw.%I (
       id text primary key, version_id bigint not null, last_updated timestamptz not null,
       resource jsonb, is_deleted boolean not null default false, load_id bigint not null)', table_name);
  perform raw.compress_resources(table_name);
  execute format('create index on raw.%I (load_id)', table_name);
end $$;

-- Begin a load: the lock comes before the number, so that a reader who locks the table in share mode knows that every
-- number up to the greatest is committed or will never be (decision 2). The commit does not wait for the disk: a crash
-- of Postgres loses the rows together with the watermark, and whatever is built on them is committed after them.
-- The temporary table compresses as raw tables do: a value that is compressed already is copied as it is.
-- Returns its number and that table.
create or replace function raw.begin_load(
  table_name text, of_source text, of_type text, from_at timestamptz, to_at timestamptz
)
returns table (load_id bigint, incoming regclass) language plpgsql as $$
#variable_conflict use_column
declare
  drawn bigint;
begin
  execute format('lock table raw.%I in row exclusive mode', table_name);
  insert into raw.load (source, resource_type, window_from, window_to) values (of_source, of_type, from_at, to_at)
  returning load_id into drawn;
  set local synchronous_commit = off;
  begin
    set local default_toast_compression = lz4;
  exception when invalid_parameter_value then null;  -- this Postgres was built without it
  end;
  create temporary table if not exists incoming (
    id text, version_id bigint, last_updated timestamptz, resource jsonb) on commit drop;
  return query select drawn, 'pg_temp.incoming'::regclass;
end $$;

-- Take the rows of `incoming` over where their version is higher, or where a deleted resource is
-- seen again; the version they replace goes to raw.superseded. Adds to the counts of the load, and empties `incoming`.
-- Insert comes first and waits for whoever loads the same id just now, so that the second statement sees, locks and keeps
-- every older version.
-- is_present: the source tells the present state only, so that a later stamp wins whatever its number: an expunged
-- resource that is made again begins at 1.
-- is_resweep: also where the tags of a known version differ: $meta-add changes them and neither the version nor the
-- stamp. FHIR gives no order to tags, so that they are compared as sets.
create or replace function raw.merge_incoming(
  table_name text, of_type text, of_load bigint, incoming regclass, is_present boolean, is_resweep boolean
)
returns void language plpgsql as $$
declare
  arrived bigint; newest bigint; added bigint; changed bigint := 0;
  or_else text := 'false';
begin
  if is_present then or_else := 'i.last_updated > r.last_updated'; end if;
  if is_resweep then
    or_else := or_else || ' or i.version_id = r.version_id and not (i.resource -> ''meta'' @> (r.resource -> ''meta'')
      and i.resource -> ''meta'' <@ (r.resource -> ''meta''))';
  end if;
  execute format('select count(*), count(distinct id) from %s', incoming) into arrived, newest;
  if newest < arrived then
    execute format(
      'delete from %1$s i using %1$s j
       where i.id = j.id and (i.version_id, i.ctid) < (j.version_id, j.ctid)', incoming);
  end if;
  execute format(
    'insert into raw.%I (id, version_id, last_updated, resource, load_id)
     select id, version_id, last_updated, resource, %s from %s order by id
     on conflict (id) do nothing', table_name, of_load, incoming);  -- in order, so that two loads never wait for each other
  get diagnostics added = row_count;
  if added < newest then
    execute format(
      'with older as (
         select r.* from raw.%1$I r join %5$s i using (id)
         where i.version_id > r.version_id or (r.is_deleted and i.version_id = r.version_id) or (%4$s)
         order by id for update of r
       ), kept as (
         insert into raw.superseded (resource_type, id, version_id, last_updated, resource, load_id)
         select %2$L, id, version_id, last_updated, resource, load_id from older
       )
       update raw.%1$I r set version_id = i.version_id, last_updated = i.last_updated, resource = i.resource,
         is_deleted = false, load_id = %3$s
       from older join %5$s i using (id) where r.id = older.id', table_name, of_type, of_load, or_else, incoming);
    get diagnostics changed = row_count;
  end if;
  update raw.load set read_count = read_count + arrived, inserted_count = inserted_count + added,
    updated_count = updated_count + changed, unchanged_count = unchanged_count + arrived - added - changed
  where load_id = of_load;
  execute format('truncate %s', incoming);
end $$;

-- Where a raw table's rows lie. Dropping, truncating and rewriting it changes the number.
create or replace function raw.table_node(table_name text)
returns oid language sql as $$
  select pg_relation_filenode(format('raw.%I', table_name)::regclass)
$$;

-- Put tombstones where resources were deleted at the source; the old body goes to raw.superseded. The version stays,
-- for the source may not have told the deletion's own: a resource seen again, even at this version, comes back.
-- Returns how many.
create or replace function raw.mark_deleted(table_name text, of_type text, ids text[], of_load bigint)
returns bigint language plpgsql as $$
declare
  marked bigint;
begin
  execute format(
    'with gone as (
       select * from raw.%1$I where id = any ($1) and not is_deleted for update
     ), kept as (
       insert into raw.superseded (resource_type, id, version_id, last_updated, resource, load_id)
       select %2$L, id, version_id, last_updated, resource, load_id from gone
     )
     update raw.%1$I r set is_deleted = true, resource = null, load_id = $2
     from gone where r.id = gone.id', table_name, of_type) using ids, of_load;
  get diagnostics marked = row_count;
  return marked;
end $$;

select raw.compress_resources('superseded');
