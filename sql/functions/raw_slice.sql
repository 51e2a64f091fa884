-- Slices of a window: planned, compared with what landed, certified.

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

-- Compare what the source has, as one JSON object of id: [version, last_updated], with a raw table: how many landed, at
-- this version and stamp or later ones, the digest of their ids, and the ids of the others. One text is taken in many times faster than two arrays,
-- and one pass over the index for all ids touches a twentieth of the blocks that a look-up of each does.
create or replace function raw.compare_landed(table_name text, versions json)
returns table (landed_count bigint, landed_digest text, absent_ids text[]) language plpgsql as $$
begin
  return query execute format(
    'select count(r.id), md5(coalesce(string_agg(r.id, '','' order by r.id collate "C"), '''')),
       coalesce(array_agg(l.id order by l.id collate "C") filter (where r.id is null), ''{}'')
     from json_each($1) as l (id, version)
     left join (
       select id, version_id, last_updated from raw.%I
       where id = any (array(select json_object_keys($1))) and not is_deleted
     ) r on r.id = l.id and r.version_id >= (l.version ->> 0)::bigint
       and r.last_updated >= (l.version ->> 1)::timestamptz',
    table_name) using versions;
end $$;

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
    landed_count = done.landed_count, landed_digest = done.landed_digest, rejected_count = done.rejected_count,
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

-- Compare the temporary table `listed`, all that the source has of a type, with a raw table. A finding is
-- missing: there and not here;  stale: newer there;  rejected: there, and refused here since the last that was taken;
-- gone: here and not there;  not_due: missing or stale, but written after the last window, so that the next run reads it.
create or replace function raw.compare_listed(table_name text, of_type text, planned_to timestamptz, began_at timestamptz)
returns table (finding text, finding_count bigint, ids text[]) language plpgsql as $$
begin
  return query execute format(
    'with found as (
       select l.id, case
         when l.last_updated >= $1 then ''not_due''
         when exists (
           select from raw.rejected j where j.resource_type = $2 and coalesce(j.id, '''') = l.id
             and (r.id is null or r.is_deleted or j.load_id > r.load_id)
         ) then ''rejected''
         when r.id is null or r.is_deleted then ''missing''
         else ''stale'' end as finding
       from listed l left join raw.%1$I r on r.id = l.id
       where r.id is null or r.is_deleted or r.version_id < l.version_id or r.last_updated < l.last_updated
         or (r.last_updated > l.last_updated and r.last_updated < $3)
       union all
       select r.id, ''gone'' from raw.%1$I r
       where not r.is_deleted and r.last_updated < $3 and not exists (select from listed l where l.id = r.id)
     )
     select f.finding, count(*), (array_agg(f.id order by f.id))[1:20] from found f group by f.finding',
    table_name) using planned_to, of_type, began_at;
end $$;

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
    sum(s.landed_count) over plan
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
  count(*) filter (where s.state in ('planned', 'landed')) as unfinished_count,
  coalesce(sum(s.planned_count) filter (where s.state in ('planned', 'landed')), 0)::bigint as remaining_count,
  count(*) filter (where s.state = 'short') as short_count,
  coalesce(sum(cardinality(s.missing_ids) + s.unlisted_count) filter (where s.state = 'short'), 0)::bigint
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
