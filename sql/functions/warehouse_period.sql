-- Which periods a run touched.

-- Keep the periods of the rows of the table `moved` that are not the same before and after, for each indicator
-- that takes its date from them: days[place] of its period type. Returns those periods that are past.
create or replace function warehouse.keep_periods(
  of_source text, indicators text[], period_types text[], places integer[], moved regclass
)
returns setof text
language plpgsql as $$
begin
  return query execute format($query$
  with reader as (
    select * from unnest($2, $3, $4) as r (indicator, period_type, place)
  ), differing as (
    select m.days, count(*) filter (where m.is_old) as old_count, count(*) filter (where not m.is_old) as new_count
    from %s m
    group by m.digest, m.days
    having count(*) filter (where m.is_old) <> count(*) filter (where not m.is_old)
  ), dated as (
    select r.place, d.days[r.place] as day_on, sum(d.old_count) as old_count, sum(d.new_count) as new_count
    from differing d cross join (select distinct place from reader) r
    group by r.place, d.days[r.place]
  ), touched as (
    select r.place, r.period_type, p.period, p.start_on, p.end_on,
      sum(d.old_count) as old_count, sum(d.new_count) as new_count
    from (select distinct place, period_type from reader) r
    join dated d using (place)
    cross join lateral (  -- the periods of a type follow on each other: the last that began by then
      select c.period, c.start_on, c.end_on from lookup.period c
      where c.period_type = r.period_type and c.start_on <= d.day_on
      order by c.start_on desc limit 1
    ) p
    where d.day_on <= p.end_on
    group by r.place, r.period_type, p.period, p.start_on, p.end_on
  ), kept as (
    insert into warehouse.touched_period as t
      (indicator, source, period_type, period, old_count, new_count, is_pending)
    select r.indicator, $1, r.period_type, p.period, sum(p.old_count), sum(p.new_count), true
    from reader r
    join warehouse.relation b on b.name = r.indicator
    join touched p using (place, period_type)
    group by r.indicator, r.period_type, p.period
    on conflict (indicator, source, period_type, period, is_pending) do update
    set old_count = t.old_count + excluded.old_count, new_count = t.new_count + excluded.new_count
  )
  select p.period from touched p
  where p.end_on < fhir.today()
  group by p.period, p.start_on
  order by p.start_on, p.period
  $query$, moved) using of_source, indicators, period_types, places;
end $$;

-- Note which periods' totals are not what they were when they were counted last.
create or replace function warehouse.count_periods(of_indicator text)
returns void language plpgsql as $$
begin
  update warehouse.counted_period set is_changed = false where indicator = of_indicator and is_changed;
  if exists (select from warehouse.relation r where r.name = of_indicator and r.counted_at = r.built_at) then return; end if;
  insert into warehouse.counted_period as c (indicator, period_type, period, digest, is_changed)
  select of_indicator, period_type, period, now_counted.digest, true
  from (
    select v.period_type, v.period,
      sum(hashtextextended(concat_ws(' ', v.measure, v.org_unit_id, v.disaggregation, trim_scale(v.value)), 0)) as digest
    from indicator.value v
    where v.indicator = split_part(of_indicator, '.', 2)
    group by v.period_type, v.period
  ) now_counted
  full join (
    select k.period_type, k.period, k.digest from warehouse.counted_period k where k.indicator = of_indicator
  ) before using (period_type, period)
  where now_counted.digest is distinct from before.digest
  on conflict (indicator, period_type, period) do update set digest = excluded.digest, is_changed = true;
  update warehouse.relation set counted_at = built_at where name = of_indicator;
end $$;

-- Close a run for an indicator that was just built, or found to need no building.
create or replace function warehouse.touch_periods(of_indicator text)
returns void language plpgsql as $$
begin
  delete from warehouse.touched_period where indicator = of_indicator and not is_pending;
  update warehouse.touched_period set is_pending = false where indicator = of_indicator;
  perform warehouse.count_periods(of_indicator);
end $$;

-- The past periods that the last run touched for some indicators: rows of staging, each once however many of the
-- indicators read them, and whether a total moved.
create or replace function warehouse.touched_past(of_indicators text[])
returns table (period_type text, period text, old_count bigint, new_count bigint, is_changed boolean)
language sql stable as $$
  select p.period_type, p.period, coalesce(r.old_count, 0), coalesce(r.new_count, 0), c.period is not null
  from (
    select s.period_type, s.period, sum(s.old_count)::bigint as old_count, sum(s.new_count)::bigint as new_count
    from (
      select t.period_type, t.period, max(t.old_count) as old_count, max(t.new_count) as new_count
      from warehouse.touched_period t
      where t.indicator = any (of_indicators) and not t.is_pending
      group by t.period_type, t.period, t.source
    ) s
    group by s.period_type, s.period
  ) r
  full join (
    select distinct k.period_type, k.period
    from warehouse.counted_period k where k.indicator = any (of_indicators) and k.is_changed
  ) c using (period_type, period)
  join lookup.period p using (period_type, period)
  where p.end_on < fhir.today()
  order by p.start_on, p.period
$$;
