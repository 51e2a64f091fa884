-- What one run left behind, for the commands and the page.

-- The data sets and periods that a run had in hand, also when it broke off before it kept what it did.
create or replace function outbox.run_slice(of_run text, of_target text)
returns table (data_set_id text, period text) language sql stable as $$
  select d.data_set_id, d.period from outbox.delivery d where d.run_id = of_run and d.target = of_target
  union
  select b.data_set_id, b.period from outbox.batch b where b.run_id = of_run and b.target = of_target
$$;

-- What a run did for one data set and period, and where the rest stands: each value once, however many requests carried it,
-- and whichever try of the run sent it. `sent`: carried by a request of this run. `accepted`: sent, and DHIS2 confirmed it,
-- deletions too. `unchanged`: confirmed before. `waiting`: to be sent, or sent without an answer. accepted + refused +
-- unchanged + withheld + waiting: every value of the ledger but those that were withdrawn before.
create or replace function outbox.run_count(of_run text, of_target text, of_data_set text, of_period text)
returns table (sent bigint, accepted bigint, refused bigint, unchanged bigint, withheld bigint, waiting bigint,
  request_count integer)
language sql stable as $$
  select count(*) filter (where b.batch_id is not null),
    count(*) filter (where b.batch_id is not null and v.state in ('delivered', 'dropped', 'withdrawn')),
    count(*) filter (where v.state = 'refused'),
    count(*) filter (where b.batch_id is null and v.state in ('delivered', 'dropped')),
    count(*) filter (where v.state = 'withheld'),
    count(*) filter (where v.state in ('pending', 'sending')),
    (select count(*)::integer from outbox.batch r
      where r.run_id = of_run and r.target = of_target and r.data_set_id = of_data_set and r.period = of_period)
  from outbox.value v
  left join outbox.batch b on b.batch_id = v.batch_id and b.run_id = of_run
  where v.target = of_target and v.data_set_id = of_data_set and v.period = of_period
$$;

-- Keep it; a step that is tried again counts afresh, and adds its time.
create or replace function outbox.keep_delivery(of_run text, of_target text, of_data_set text, of_period text,
  took double precision)
returns outbox.delivery language sql as $$
  insert into outbox.delivery as d (run_id, target, data_set_id, period, sent, accepted, refused, unchanged, withheld,
    waiting, request_count, seconds)
  select of_run, of_target, of_data_set, of_period, c.sent, c.accepted, c.refused, c.unchanged, c.withheld, c.waiting,
    c.request_count, took
  from outbox.run_count(of_run, of_target, of_data_set, of_period) c
  on conflict (run_id, target, data_set_id, period) do update set sent = excluded.sent, accepted = excluded.accepted,
    refused = excluded.refused, unchanged = excluded.unchanged, withheld = excluded.withheld, waiting = excluded.waiting,
    request_count = excluded.request_count, seconds = d.seconds + excluded.seconds
  returning *
$$;

-- What a run did for each of them, in values, and how right the forecast of it was; times in the country's zone. Of a run
-- that was killed before it kept that, the ledger says what is still to be seen.
create or replace function outbox.run_period(of_run text, of_target text)
returns table (data_set_id text, data_set text, data_set_name text, period text, start_on date, end_on date,
  sent bigint, accepted bigint, request_count integer, seconds double precision, delivered_at text,
  right_count bigint, wrong_count bigint)
language sql stable as $$
  select r.data_set_id, coalesce(s.code, r.data_set_id), s.name, r.period, p.start_on, p.end_on,
    coalesce(d.sent, c.sent), coalesce(d.accepted, c.accepted), coalesce(d.request_count, c.request_count), d.seconds,
    to_char(d.delivered_at at time zone coalesce(nullif(current_setting('opensrp.report_timezone', true), ''), 'UTC'),
      'YYYY-MM-DD HH24:MI'),
    f.right_count, f.wrong_count
  from outbox.run_slice(of_run, of_target) r
  left join lookup.data_set s using (data_set_id)
  left join lookup.period p on p.period_type = s.period_type and p.period = r.period
  left join outbox.delivery d on d.run_id = of_run and d.target = of_target
    and d.data_set_id = r.data_set_id and d.period = r.period
  left join lateral outbox.run_count(of_run, of_target, r.data_set_id, r.period) c on d.run_id is null
  left join outbox.forecast_score f on f.run_id = of_run and f.target = of_target
    and f.data_set_id = r.data_set_id and f.period = r.period
  order by 2, p.start_on, 4
$$;

-- Where the values of a run's data sets and periods stand now. A value that should not be there and is not counts apart.
create or replace function outbox.run_verdict(of_run text, of_target text)
returns table (data_set_id text, period text, standing text, value_count bigint)
language sql stable as $$
  select r.data_set_id, r.period, outbox.shown_state(v.state, v.code), count(*)
  from outbox.run_slice(of_run, of_target) r
  join outbox.value v on v.target = of_target and v.data_set_id = r.data_set_id and v.period = r.period
  group by 1, 2, 3
$$;

-- What keeps values of a run out of DHIS2, cause by cause, with the first names of what it concerns.
create or replace function outbox.run_cause(of_run text, of_target text, at_most integer)
returns table (code text, standing text, value_count bigint, unit_count bigint, element_count bigint,
  data_sets text[], units text[], elements text[])
language sql stable as $$
  select v.code, v.state, count(*), count(distinct v.org_unit_id), count(distinct v.data_element_id),
    array_agg(distinct v.data_set),
    (array_agg(distinct coalesce(v.org_unit_name, v.org_unit_id)))[1:at_most],
    (array_agg(distinct coalesce(v.data_element_name, v.data_element_id)))[1:at_most]
  from outbox.run_slice(of_run, of_target) r
  join outbox.named_value v on v.target = of_target and v.data_set_id = r.data_set_id and v.period = r.period
  where v.state in ('refused', 'withheld', 'closed') or (v.state = 'pending' and v.code is not null)
  group by 1, 2
  order by 3 desc, 1
$$;

-- The org units with the most values of a run that a person must see to, with the unit above each and the main cause.
create or replace function outbox.run_unit(of_run text, of_target text, at_most integer)
returns table (org_unit text, name text, parent text, stopped_count bigint, value_count bigint, code text)
language sql stable as $$
  select u.code, coalesce(u.name, n.org_unit_id), above.name, n.stopped_count, n.value_count, n.code
  from (
    select v.org_unit_id, count(*) as value_count,
      count(*) filter (where v.state in ('refused', 'withheld')) as stopped_count,
      mode() within group (order by v.code) filter (where v.state in ('refused', 'withheld')) as code
    from outbox.run_slice(of_run, of_target) r
    join outbox.value v on v.target = of_target and v.data_set_id = r.data_set_id and v.period = r.period
    where v.state <> 'withdrawn'
    group by v.org_unit_id
  ) n
  left join lookup.org_unit u using (org_unit_id)
  left join lookup.org_unit above on above.org_unit_id = (regexp_match(u.path, '/([^/]+)/[^/]+$'))[1]
  where n.stopped_count > 0
  order by n.stopped_count desc, 2, n.org_unit_id
  limit at_most
$$;

-- The last runs of a run's data sets, up to and with itself, the newest first.
create or replace function outbox.run_trend(of_run text, of_target text, at_most integer)
returns table (run_id text, delivered_at text, sent bigint, accepted bigint, stopped bigint)
language sql stable as $$
  select d.run_id,
    to_char(max(d.delivered_at) at time zone coalesce(
      nullif(current_setting('opensrp.report_timezone', true), ''), 'UTC'), 'YYYY-MM-DD HH24:MI'),
    sum(d.sent)::bigint, sum(d.accepted)::bigint, sum(d.refused + d.withheld)::bigint
  from outbox.delivery d
  where d.target = of_target
    and d.data_set_id in (select r.data_set_id from outbox.run_slice(of_run, of_target) r)
  group by d.run_id
  having max(d.delivered_at) <= coalesce((
    select max(o.delivered_at) from outbox.delivery o where o.run_id = of_run and o.target = of_target), 'infinity')
  order by max(d.delivered_at) desc, d.run_id = of_run desc, d.run_id
  limit at_most
$$;

-- The values of a run for the person who must mend them: those refused, withheld or closed. `there`: what DHIS2 holds of
-- each, as it last confirmed or as reconcile found it since; null: nothing.
create or replace function outbox.run_stopped(of_run text, of_target text)
returns table (data_set text, period text, org_unit_id text, org_unit text, org_unit_name text, data_element_id text,
  data_element text, data_element_name text, category_option_combo text, wanted text, there text, code text)
language sql stable as $$
  select v.data_set, v.period, v.org_unit_id, v.org_unit, v.org_unit_name, v.data_element_id, v.data_element,
    v.data_element_name, v.category_option_combo, v.wanted,
    case when d.discrepancy_id is null then v.acknowledged else d.stored end, v.code
  from outbox.run_slice(of_run, of_target) r
  join outbox.named_value v on v.target = of_target and v.data_set_id = r.data_set_id and v.period = r.period
  left join outbox.discrepancy d on d.target = v.target and d.data_set_id = v.data_set_id and d.period = v.period
    and d.data_element_id = v.data_element_id and d.org_unit_id = v.org_unit_id
    and d.category_option_combo_id = v.category_option_combo_id
    and d.attribute_option_combo_id = v.attribute_option_combo_id and d.resolved_at is null
  where v.state in ('refused', 'withheld', 'closed')
  order by v.data_set, v.period, v.org_unit_name, v.data_element_name, v.category_option_combo, v.value_id
$$;

-- The discrepancies that stand in what a run delivered, by kind, since it was last reconciled.
create or replace function outbox.run_discrepancy(of_run text, of_target text)
returns table (kind text, value_count bigint)
language sql stable as $$
  select d.kind, count(*)
  from outbox.run_slice(of_run, of_target) r
  join outbox.discrepancy d on d.target = of_target and d.data_set_id = r.data_set_id and d.period = r.period
  where d.resolved_at is null
  group by d.kind
  order by count(*) desc
$$;
