-- Files of NDJSON that were loaded.

-- name: forget_emptied
delete from raw.loaded_file
where
  source = %(source)s and resource_type = %(resource_type)s
  and (state = 'broken' or table_node is distinct from raw.table_node(%(table)s));

-- name: known
select
  file_name,
  fingerprint,
  digest
from raw.loaded_file
where source = %(source)s and resource_type = %(resource_type)s;

-- name: keep_loaded
insert into raw.loaded_file as f (
  source, resource_type, file_name, state, fingerprint, digest, line_count, inserted_count, updated_count,
  unchanged_count, rejected_count, table_node
) values (
  %(source)s, %(resource_type)s, %(file_name)s, 'loaded', %(fingerprint)s, %(digest)s, %(line_count)s, %(inserted)s,
  %(updated)s, %(unchanged)s, %(rejected)s, raw.table_node(%(table)s)
)
on conflict (source, resource_type, file_name) do update set
  state = excluded.state, reason = null, fingerprint = excluded.fingerprint, digest = excluded.digest,
  line_count = excluded.line_count, inserted_count = excluded.inserted_count, updated_count = excluded.updated_count,
  unchanged_count = excluded.unchanged_count, rejected_count = excluded.rejected_count,
  table_node = excluded.table_node, loaded_at = now();

-- name: keep_same
update raw.loaded_file set fingerprint = %(fingerprint)s
where source = %(source)s and resource_type = %(resource_type)s and file_name = %(file_name)s;

-- name: keep_broken
insert into raw.loaded_file as f (source, resource_type, file_name, state, reason, fingerprint)
values (%(source)s, %(resource_type)s, %(file_name)s, 'broken', %(reason)s, %(fingerprint)s)
on conflict (source, resource_type, file_name) do update set
  state = excluded.state, reason = excluded.reason, fingerprint = excluded.fingerprint, loaded_at = now();

-- name: certificates
select
  file_name,
  state,
  reason,
  line_count,
  inserted_count,
  updated_count,
  unchanged_count,
  rejected_count,
  loaded_at
from raw.loaded_file
where source = %(source)s and resource_type = %(resource_type)s
order by file_name;

-- name: newest_at
select max(loaded_at)
from raw.loaded_file
where source = %(source)s and resource_type = %(resource_type)s and state = 'loaded';
