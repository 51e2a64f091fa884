-- Bulk exports for a first load.

-- Say whether a type waits for its first load: never read, or its watermark was taken away; and no export has ended
-- since, for what an export leaves is read by search.
create or replace function raw.needs_first_load(of_source text, of_type text)
returns boolean language plpgsql as $$
begin
  perform raw.forget_slices_without_watermark(of_source, of_type);
  return not exists (select from raw.watermark where source = of_source and resource_type = of_type)
    and not (
      exists (select from raw.slice where source = of_source and resource_type = of_type)
      and exists (
        select from raw.export_job
        where source = of_source and of_type = any (resource_types) and state in ('loaded', 'refused', 'failed')
      )
    );
end $$;

-- End a job that expired or failed: lost, and to be asked for again, or failed when that was done often enough.
-- Returns the state.
create or replace function raw.lose_export(of_job bigint, why text, most_jobs integer)
returns text language plpgsql as $$
declare
  of_source text; lost bigint;
begin
  select source into of_source from raw.export_job where export_job_id = of_job;
  select count(*) into lost from raw.export_job j
  where j.source = of_source and j.state = 'lost' and j.export_job_id > coalesce(
    (select max(export_job_id) from raw.export_job
     where source = of_source and state in ('loaded', 'refused', 'failed')), 0);
  perform raw.end_export(of_job, case when lost + 1 < most_jobs then 'lost' else 'failed' end, why);
  return (select state from raw.export_job where export_job_id = of_job);
end $$;

-- End a job, and forget what opens it at the server, and what came of it.
create or replace function raw.end_export(of_job bigint, as_state text, why text)
returns void language plpgsql as $$
begin
  update raw.export_job set state = as_state, reason = why, status_url = null, ended_at = clock_timestamp()
  where export_job_id = of_job;
  update raw.export_file set url = null where export_job_id = of_job;
  delete from raw.export_stamp where export_job_id = of_job;
end $$;

-- Put tombstones over what the export tells as deleted, unless it was written again since.
create or replace function raw.mark_export_deleted(table_name text, of_type text, ids text[], of_load bigint, of_job bigint)
returns bigint language plpgsql as $$
declare
  older text[];
begin
  execute format(
    'select array_agg(r.id) from raw.%I r, raw.export_job j
     where r.id = any ($1) and j.export_job_id = $2 and r.last_updated < j.transaction_time', table_name)
  into older using ids, of_job;
  return raw.mark_deleted(table_name, of_type, coalesce(older, '{}'), of_load);
end $$;

-- Certify the slices of a type, planned before the export was asked for, whose resources all came. Rows only leave a past
-- window, by update or deletion. So when the source counted as many before the export as it counts now (`counts`), and
-- as many came with a stamp of the window and stand in raw, what came is what the source has. A slice that differs stays
-- planned, to be read by search. Returns the slices in question.
create or replace function raw.certify_export(of_job bigint, table_name text, slice_ids bigint[], counts bigint[])
returns table (slice_id bigint, is_certified boolean) language plpgsql as $$
declare
  found record;
begin
  for found in execute format(
    'with due as (
       select s.*, c.counted, row_number() over (order by s.window_from) as number
       from unnest($2, $3) as c (id, counted) join raw.slice s on s.slice_id = c.id
       join raw.export_job j on j.export_job_id = $1
       where s.state = ''planned'' and s.kind = ''window'' and s.source = j.source
         and s.resource_type = any (j.resource_types) and s.planned_at <= j.kicked_off_at
     ), newest as (
       select distinct on (e.id) e.* from raw.export_stamp e
       where e.export_job_id = $1 and e.resource_type in (select resource_type from due)
       order by e.id, e.version_id desc
     ), came as (
       select n.*, width_bucket(
         n.last_updated, (select array_agg(window_from order by window_from) from due)) as number
       from newest n
     )
     select d.slice_id, d.planned_count, d.counted, count(n.id) as received, count(r.id) as loaded,
       md5(coalesce(string_agg(n.id, '','' order by n.id collate "C"), '''')) as digest
     from due d
     left join came n on n.number = d.number and n.last_updated < d.window_to
     left join raw.%I r on r.id = n.id and r.version_id >= n.version_id and r.last_updated >= n.last_updated
       and not r.is_deleted
     group by d.slice_id, d.planned_count, d.counted', table_name) using of_job, slice_ids, counts
  loop
    slice_id := found.slice_id;
    is_certified := found.planned_count = found.received and found.received = found.counted
      and found.received = found.loaded;
    if is_certified then
      perform raw.finish_slice(found.slice_id, jsonb_build_object(
        'state', 'certified', 'source_count', found.counted, 'source_digest', found.digest,
        'loaded_count', found.loaded, 'loaded_digest', found.digest));
    end if;
    return next;
  end loop;
end $$;

-- Each export as it stands, without what opens it.
create or replace view raw.export_status as
select
  j.export_job_id,
  j.source,
  j.resource_types,
  j.state,
  j.reason,
  j.transaction_time,
  j.error_count,
  j.kicked_off_at,
  j.ended_at,
  count(f.*) as file_count,
  count(f.*) filter (where f.state = 'loaded') as loaded_file_count,
  count(f.*) filter (where f.state = 'failed') as failed_file_count,
  coalesce(sum(f.loaded_count) filter (where f.kind = 'output'), 0)::bigint as line_count,
  min(f.reason) as file_reason
from raw.export_job j
left join raw.export_file f using (export_job_id)
group by j.export_job_id;
