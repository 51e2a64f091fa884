-- Bulk exports.

-- name: alive
select
  export_job_id,
  resource_types,
  state,
  coalesce(status_url, '') as status_url,
  requires_access_token,
  extract(epoch from clock_timestamp() - kicked_off_at)::float8 as age_seconds
from raw.export_job
where source = %(source)s and state in ('asked', 'running', 'ready');

-- name: ask
insert into raw.export_job (source, resource_types)
values (%(source)s, %(resource_types)s)
returning export_job_id;

-- name: begin
update raw.export_job set state = 'running', status_url = %(status_url)s
where export_job_id = %(export_job_id)s;

-- name: keep_manifest
update raw.export_job
set state = 'ready', transaction_time = %(transaction_time)s, requires_access_token = %(requires_access_token)s
where export_job_id = %(export_job_id)s;

-- name: keep_file
insert into raw.export_file (export_job_id, kind, resource_type, url, planned_count)
values (%(export_job_id)s, %(kind)s, %(resource_type)s, %(url)s, %(planned_count)s);

-- name: files_to_read
select
  export_file_id,
  kind,
  resource_type,
  url,
  planned_count,
  attempt_count
from raw.export_file
where export_job_id = %(export_job_id)s and state = 'planned'
order by export_file_id;

-- name: note_attempt
update raw.export_file set attempt_count = attempt_count + 1
where export_file_id = %(export_file_id)s;

-- name: keep_loaded
update raw.export_file set state = 'loaded', loaded_count = %(line_count)s, loaded_at = clock_timestamp()
where export_file_id = %(export_file_id)s;

-- name: fail
update raw.export_file set state = 'failed', reason = %(reason)s
where export_file_id = %(export_file_id)s;

-- name: add_errors
update raw.export_job set error_count = error_count + %(count)s
where export_job_id = %(export_job_id)s;

-- name: describe
select
  concat(
    '$export of ', to_char(j.kicked_off_at at time zone 'utc', 'YYYY-MM-DD HH24:MI'), ' UTC: ', j.state,
    coalesce(': ' || coalesce(j.reason, j.file_reason), ''), ', ', coalesce(sum(f.loaded_count), 0), ' lines'
  )
from raw.export_status j
left join raw.export_file f
  on j.export_job_id = f.export_job_id and f.kind = 'output' and f.resource_type = %(resource_type)s
where j.source = %(source)s and %(resource_type)s = any(j.resource_types)
group by j.export_job_id, j.kicked_off_at, j.state, j.reason, j.file_reason
order by j.export_job_id desc
limit 1;
