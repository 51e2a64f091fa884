-- How far each type of each source has been read, and what could not be read.

-- name: move_watermark
insert into raw.watermark as w (source, resource_type, read_to)
values (%(source)s, %(resource_type)s, %(read_to)s)
on conflict (source, resource_type) do update set read_to = greatest(w.read_to, excluded.read_to);

-- name: forget
with forgotten as (
  delete from raw.watermark where source = %(source)s and resource_type = %(resource_type)s
)
delete from raw.slice
where source = %(source)s and resource_type = %(resource_type)s;

-- name: progress
select
  (select read_to from raw.watermark where source = %(source)s and resource_type = %(resource_type)s) as read_to,
  planned.window_to as planned_to,
  planned.clock_ahead,
  clock_timestamp() as warehouse_at
from (select) as one_row
left join (
  select
    window_to,
    clock_ahead
  from raw.slice
  where source = %(source)s and resource_type = %(resource_type)s and kind = 'window'
  order by window_to desc, slice_id desc
  limit 1
) planned on true;

-- name: unfinished_slices
select
  slice_id,
  window_from,
  window_to,
  planned_count,
  state
from raw.slice
where source = %(source)s and resource_type = %(resource_type)s and kind = %(kind)s and state <> 'certified'
order by window_from;

-- name: plan_slices
select
  slice_id,
  window_from,
  window_to,
  planned_count,
  state
from raw.plan_slices(
  %(source)s, %(resource_type)s, %(kind)s, %(clock_ahead)s, %(from_ats)s, %(to_ats)s, %(counts)s
)
order by window_from;

-- name: incomplete_slices
select
  kind,
  window_from,
  window_to,
  cardinality(missing_ids) + unlisted_count as missing_count,
  missing_ids[1:20] as missing_ids,
  unlisted_count,
  unlisted_from,
  attempt_count
from raw.slice
where source = %(source)s and resource_type = %(resource_type)s and state = 'incomplete'
order by window_from;

-- name: settle_rejected
update raw.rejected
set settled_at = clock_timestamp()
where resource_type = %(resource_type)s and id = any(%(ids)s) and settled_at is null;
