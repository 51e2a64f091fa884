-- Where private words might have come to stand.

-- name: columns
select
  n.nspname,
  c.relname,
  a.attname,
  a.atttypid = 'bytea'::regtype
from pg_attribute a
inner join pg_class c on a.attrelid = c.oid
inner join pg_namespace n on c.relnamespace = n.oid
where
  n.nspname = any(%(schemas)s) and c.relkind in ('r', 'm', 'p', 'v')
  and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
  and a.attnum > 0 and not a.attisdropped
  and a.atttypid::regtype::text not in (
    'boolean', 'smallint', 'integer', 'bigint', 'date', 'timestamp with time zone', 'timestamp without time zone'
  )
order by n.nspname, c.relname, a.attnum;
