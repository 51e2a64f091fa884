-- Searches for deletions.

-- name: keep_search
insert into raw.delete_search (
  source, resource_type, method, reason, since_at, until_at, source_count, deleted_count, loaded_count, load_id
) values (
  %(source)s, %(resource_type)s, %(method)s, %(reason)s, %(since_at)s, %(until_at)s, %(source_count)s,
  %(deleted_count)s, %(loaded_count)s, %(load_id)s
);

-- name: move_watermark
insert into raw.delete_watermark as w (source, resource_type, read_to)
values (%(source)s, %(resource_type)s, %(read_to)s)
on conflict (source, resource_type) do update set read_to = excluded.read_to;
