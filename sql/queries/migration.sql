-- What sql/ has made in a warehouse.

-- name: make_ledger
create table if not exists warehouse.migration (
  name text primary key, checksum text not null, applied_at timestamptz not null default now()
);

-- name: record
insert into warehouse.migration (name, checksum) values (%(name)s, %(checksum)s)
on conflict (name) do update set checksum = excluded.checksum, applied_at = now();

-- name: drop_functions_and_views
do $$
declare
  old text;
begin
  for old in
    select format('drop %s %s', case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure)
    from pg_proc p where p.pronamespace::regnamespace::text in ('fhir', 'raw', 'lookup', 'outbox', 'warehouse')
    union all
    select format('drop view %s', c.oid::regclass)
    from pg_class c where c.relkind = 'v' and c.relnamespace::regnamespace::text in ('raw', 'lookup', 'outbox', 'warehouse')
  loop
    begin
      execute old;
    exception when dependent_objects_still_exist then null;
    end;
  end loop;
end $$;
