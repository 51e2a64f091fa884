-- Which periods a run touched.

-- name: columns
select
  attname,
  atttypid::regtype::text
from pg_attribute
where attrelid = %(table)s::regclass and attnum > 0 and not attisdropped;

-- name: track_changes
create temporary table moved (digest bigint, days date[], is_old boolean) on commit drop;
