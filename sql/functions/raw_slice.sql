-- Slices of a window: planned, compared with what was loaded, certified.

-- Keep the slices of one window, all or none.
create or replace function raw.plan_slices(
  of_source text, of_type text, of_kind text, ahead interval,
  from_ats timestamptz[], to_ats timestamptz[], counts bigint[]
)
returns setof raw.slice language sql as $$
  insert into raw.slice (source, resource_type, kind, clock_ahead, window_from, window_to, planned_count)
  select of_source, of_type, of_kind, ahead, cut.* from unnest(from_ats, to_ats, counts) as cut
  returning *
$$;

-- Move the watermark over certified slices as far as they leave no gap; it never goes back.
create or replace function raw.advance_watermark(of_source text, of_type text)
returns void language plpgsql as $$
declare
  stands timestamptz; further timestamptz; began timestamptz;
begin
  -- of two slices that end at once, the second must see the first
  perform pg_advisory_xact_lock(hashtextextended('watermark ' || of_source || ' ' || of_type, 0));
  select read_to into began from raw.watermark where source = of_source and resource_type = of_type;
  stands := began;
  loop
    select max(window_to) into further from raw.slice
    where source = of_source and resource_type = of_type and kind = 'window' and state = 'certified'
      and window_to > coalesce(stands, '-infinity') and window_from <= coalesce(stands, 'epoch');
    exit when further is null;
    stands := further;
  end loop;
  if stands is distinct from began then
    insert into raw.watermark as w (source, resource_type, read_to) values (of_source, of_type, stands)
    on conflict (source, resource_type) do update set read_to = greatest(w.read_to, excluded.read_to);
  end if;
end $$;

-- Keep what was found of a slice, and move the watermark if it is certified.
create or replace function raw.finish_slice(of_slice bigint, certificate jsonb)
returns void language plpgsql as $$
declare
  done raw.slice;
begin
  select (jsonb_populate_record(s, certificate)).* into done from raw.slice s where slice_id = of_slice;
  update raw.slice set state = done.state, source_count = done.source_count, source_digest = done.source_digest,
    loaded_count = done.loaded_count, loaded_digest = done.loaded_digest, rejected_count = done.rejected_count,
    repaired_count = done.repaired_count, late_count = done.late_count, changed_count = done.changed_count,
    deleted_count = done.deleted_count, missing_ids = done.missing_ids, unlisted_count = done.unlisted_count,
    unlisted_from = done.unlisted_from, attempt_count = attempt_count + 1, finished_at = clock_timestamp()
  where slice_id = of_slice;
  if done.state = 'certified' then perform raw.advance_watermark(done.source, done.resource_type); end if;
end $$;

-- Forget the slices of a type whose watermark was taken away: everything is to be read anew. While the first slice
-- is certified there is a watermark, so that the one without the other says just this.
create or replace function raw.forget_slices_without_watermark(of_source text, of_type text)
returns void language sql as $$
  delete from raw.slice
  where source = of_source and resource_type = of_type
    and not exists (select from raw.watermark w where w.source = of_source and w.resource_type = of_type)
    and exists (
      select from raw.slice s
      where s.source = of_source and s.resource_type = of_type and s.kind = 'window' and s.state = 'certified'
        and s.window_from <= 'epoch'
    )
$$;

-- What the source gave broken, in part or not at all, by id, and has not given since.
create or replace function raw.outstanding(table_name text, of_type text)
returns table (id text, reason text) language plpgsql stable as $$
begin
  if to_regclass(format('raw.%I', table_name)) is null then return; end if;
  return query execute format(
    'select j.id, min(j.reason) from raw.rejected j left join raw.%I r on r.id = j.id
     where j.resource_type = $1 and j.id is not null and j.settled_at is null and (r.id is null or r.load_id < j.load_id)
     group by j.id order by j.id', table_name) using of_type;
end $$;

-- How far each type stands: what is certified, what is still to be read and how fast it goes, what is missing.
create or replace view raw.extract_status as
with paced as (
  select
    s.*,
    max(s.planned_at) over of_kind as newest_at,
    sum(s.loaded_count) over plan
    / nullif(extract(epoch from max(s.finished_at) over plan - s.planned_at), 0) as per_second
  from raw.slice s
  window
    of_kind as (partition by s.source, s.resource_type, s.kind),
    plan as (partition by s.source, s.resource_type, s.kind, s.planned_at)
)
select
  s.source,
  s.resource_type,
  s.kind,
  w.read_to,
  count(*) filter (where s.state = 'certified') as certified_count,
  count(*) filter (where s.state in ('planned', 'loaded')) as unfinished_count,
  coalesce(sum(s.planned_count) filter (where s.state in ('planned', 'loaded')), 0)::bigint as remaining_count,
  count(*) filter (where s.state = 'incomplete') as incomplete_count,
  coalesce(sum(cardinality(s.missing_ids) + s.unlisted_count) filter (where s.state = 'incomplete'), 0)::bigint
    as missing_count,
  sum(s.repaired_count)::bigint as repaired_count,
  sum(s.late_count)::bigint as late_count,
  sum(s.changed_count)::bigint as changed_count,
  sum(s.deleted_count)::bigint as deleted_count,
  max(s.finished_at) as finished_at,
  round(max(s.per_second) filter (where s.planned_at = s.newest_at), 1) as resources_per_second
from paced s
left join raw.watermark w on s.source = w.source and s.resource_type = w.resource_type
group by s.source, s.resource_type, s.kind, w.read_to;
