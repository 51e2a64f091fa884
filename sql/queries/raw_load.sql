-- One load of resources, and what could not be loaded.

-- name: counts
select
  load_id,
  read_count,
  inserted_count,
  updated_count,
  unchanged_count,
  rejected_count
from raw.load
where load_id = %(load_id)s;

-- name: reject
insert into raw.rejected (resource_type, id, reason, body, load_id)
values (%(resource_type)s, %(id)s, %(reason)s, %(body)s, %(load_id)s)
on conflict (resource_type, coalesce(id, ''), reason, body_md5)
do update set load_id = excluded.load_id, settled_at = null;

-- name: count_rejected
update raw.load
set rejected_count = rejected_count + 1, read_count = read_count + 1
where load_id = %(load_id)s;

-- name: keep_invalid
insert into raw.invalid (resource_type, id, version_id, problem)
values (%(resource_type)s, %(id)s, %(version_id)s, %(problem)s)
on conflict do nothing;
