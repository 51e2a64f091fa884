-- A table that Airbyte fills, in a database of somebody else. Each query but `columns` is put behind
-- `with airbyte_row as (select * from <the table>)`, for only the caller knows its name.

-- name: columns
select
  table_name,
  column_name,
  data_type
from information_schema.columns
where table_schema = %(schema)s and lower(replace(table_name, '_', '')) = %(name)s;

-- name: newest
select
  count(*) filter (where _airbyte_extracted_at >= %(start_at)s),
  max(_airbyte_extracted_at)
from airbyte_row;

-- name: cut
select
  min(at),
  sum(held)::bigint
from (
  select
    at,
    held,
    (sum(held) over (order by at) - held)::bigint / %(size)s as part
  from (
    select
      _airbyte_extracted_at as at,
      count(*) as held
    from airbyte_row
    where _airbyte_extracted_at >= %(start_at)s
    group by _airbyte_extracted_at
  ) instant
) running
group by part
order by min(at);

-- name: tally
select
  count(*),
  count(distinct id) + count(*) filter (where id is null),
  md5(coalesce(string_agg(distinct id, ',' order by id), ''))
from (
  select (resource ->> 'id') collate "C" as id
  from airbyte_row
  where _airbyte_extracted_at >= %(start_at)s and _airbyte_extracted_at < %(end_at)s
) r;

-- name: bodies
select convert_to(resource::text, 'UTF8')
from airbyte_row
where _airbyte_extracted_at >= %(start_at)s and _airbyte_extracted_at < %(end_at)s;

-- name: bodies_of
select convert_to(resource::text, 'UTF8')
from airbyte_row
where resource ->> 'id' = any(%(ids)s);

-- name: stamps
select
  resource ->> 'id',
  convert_to(
    jsonb_build_object(
      'resourceType', resource -> 'resourceType', 'id', resource -> 'id', 'meta', resource -> 'meta'
    )::text, 'UTF8'
  )
from airbyte_row;
