-- How far each type of each source has been read, and what could not be read.

-- name: move_watermark
insert into raw.watermark as w (source, resource_type, read_to)
values (%(source)s, %(resource_type)s, %(read_to)s)
on conflict (source, resource_type) do update set read_to = greatest(w.read_to, excluded.read_to);

-- name: settle_rejected
update raw.rejected
set settled_at = clock_timestamp()
where resource_type = %(resource_type)s and id = any(%(ids)s) and settled_at is null;
