-- What was built from which definition.

-- name: functions_digest
select md5(coalesce(string_agg(pg_get_functiondef(oid), '' order by oid::regprocedure::text), ''))
from pg_proc
where pronamespace = 'fhir'::regnamespace;

-- name: built
select
  name,
  kind,
  checksum,
  load_id,
  inputs,
  row_count
from warehouse.relation
where to_regclass(name) is not null;

-- name: record
insert into warehouse.relation (name, kind, checksum, load_id, inputs, row_count)
values (%(name)s, %(kind)s, %(checksum)s, %(load_id)s, %(inputs)s, %(row_count)s)
on conflict (name) do update
set
  kind = excluded.kind, checksum = excluded.checksum, load_id = excluded.load_id, inputs = excluded.inputs,
  row_count = excluded.row_count, built_at = now();
