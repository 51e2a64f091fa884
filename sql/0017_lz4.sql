-- Opening a load: as before, and its temporary table compresses as raw tables do. A value that is compressed already is
-- copied as it is, so that none of what came through a table with pglz was ever compressed with lz4, at half the cost.
create or replace function raw.begin_load(
  table_name text, of_source text, of_type text, from_at timestamptz, to_at timestamptz
)
returns bigint language plpgsql as $$
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
  return drawn;
end $$;
