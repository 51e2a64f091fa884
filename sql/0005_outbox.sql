-- outbox: one row for every value that should be in DHIS2, which says where it stands; and one row for each request.

create table outbox.batch (
  batch_id bigint generated always as identity primary key,
  target text not null, data_set_id text not null, period text not null,
  import_strategy text not null check (import_strategy in ('CREATE_AND_UPDATE', 'DELETE')),
  value_count integer not null,
  state text not null default 'sending' check (state in ('sending', 'settled')),
  run_id text not null,
  http_status integer, note text,                       -- what the reply said, without values
  created_at timestamptz not null default now(), settled_at timestamptz
);
create index on outbox.batch (target) where state = 'sending';

create table outbox.value (
  target text not null, data_set_id text not null, period text not null, org_unit_id text not null,
  data_element_id text not null, category_option_combo_id text not null, attribute_option_combo_id text not null,
  wanted text,                                          -- null: no value should be there
  acknowledged text,                                    -- what DHIS2 last confirmed; null: nothing
  state text not null check (state in
    ('pending', 'sending', 'delivered', 'dropped', 'refused', 'withheld', 'withdrawn')),
  code text, reason text,                               -- why not, in DHIS2's code and in plain words
  attempt integer not null default 0,
  batch_id bigint references outbox.batch, row_index integer,  -- the last request that carried it, and where in it
  run_id text not null,
  wanted_at timestamptz not null default now(), settled_at timestamptz,
  primary key (target, data_set_id, period, data_element_id, org_unit_id,
               category_option_combo_id, attribute_option_combo_id),
  check (state <> 'sending' or (batch_id is not null and row_index is not null)),
  check (wanted !~ '["\\[:cntrl:]]')                -- what JSON would have to escape
);
create index value_pending on outbox.value (target, data_set_id, period) where state = 'pending';
create index value_sending on outbox.value (batch_id, row_index) where state = 'sending';

-- What a data set's indicators say should be in DHIS2 for one period; NULL sends nothing, zeros as the policy says.
create function outbox.desired(of_data_set text, of_period text, zeros text)
returns table (org_unit_id text, data_element_id text, category_option_combo_id text, attribute_option_combo_id text,
               value text)
language plpgsql stable as $$
begin
  return query
  with measured as (
    select v.org_unit_id, t.data_element_id, t.category_option_combo_id, t.attribute_option_combo_id, v.value
    from lookup.target t
    join indicator.value v on v.indicator = t.indicator and v.measure = t.measure
      and v.disaggregation = t.disaggregation and v.period_type = t.period_type
    where t.data_set_id = of_data_set and v.period = of_period
  ), unit as (
    select distinct m.org_unit_id from measured m where zeros = 'reported'
    union
    select a.org_unit_id from lookup.data_set_org_unit a where zeros = 'assigned' and a.data_set_id = of_data_set
  ), filled as (
    select u.org_unit_id, t.data_element_id, t.category_option_combo_id, t.attribute_option_combo_id, 0::numeric
    from unit u join lookup.target t on t.data_set_id = of_data_set
    where not exists (
      select from measured m
      where m.org_unit_id = u.org_unit_id and m.data_element_id = t.data_element_id
        and m.category_option_combo_id = t.category_option_combo_id
        and m.attribute_option_combo_id = t.attribute_option_combo_id)
  )
  select d.org_unit_id, d.data_element_id, d.category_option_combo_id, d.attribute_option_combo_id,
    trim_scale(d.value)::text
  from (select * from measured m where zeros <> 'none' or m.value <> 0 union all select * from filled) d;
end $$;

-- Why a value must not be sent, as DHIS2 itself would say it; null: nothing speaks against it.
-- The same on both engines: what 2.41 would store in the wrong place, and what would block a whole request of 2.43.
create function outbox.objection(value text, value_type text, is_element_in_set boolean, is_unit_known boolean,
  is_unit_assigned boolean, is_unit_open boolean, is_period_open boolean)
returns text language sql immutable parallel safe as $$
  select case
    when not is_element_in_set then 'E8020'
    when not is_unit_known then 'E8107'
    when not is_unit_assigned then 'E8022'
    when not is_unit_open then 'E8031'
    when not is_period_open then 'E8030'
    when value is null then null
    when value_type like 'INTEGER%' and (value !~ '^(0|-?[1-9]\d*)$' or abs(value::numeric) > 2147483647) then 'E8122'
    when value_type = 'INTEGER_POSITIVE' and value::numeric <= 0 then 'E8122'
    when value_type = 'INTEGER_ZERO_OR_POSITIVE' and value::numeric < 0 then 'E8122'
    when value_type = 'INTEGER_NEGATIVE' and value::numeric >= 0 then 'E8122'
    when value_type = 'PERCENTAGE' and value::numeric not between 0 and 100 then 'E8122'
    when value_type = 'UNIT_INTERVAL' and value::numeric not between 0 and 1 then 'E8122'
    when value_type not in ('NUMBER', 'PERCENTAGE', 'UNIT_INTERVAL', 'TEXT', 'LONG_TEXT')
      and value_type not like 'INTEGER%' then 'E8122'
  end
$$;

-- Bring the ledger of one data set and period up to what is desired now; returns how many values stand in which state.
-- What was delivered and is desired unchanged is not touched; what vanished is to be deleted where DHIS2 has it.
create function outbox.plan(to_target text, of_data_set text, of_period text, zeros text, is_period_open boolean,
  by_run text)
returns table (state text, value_count bigint)
language plpgsql as $$
begin
  if exists (select from outbox.batch b where b.target = to_target and b.state = 'sending') then
    raise exception 'a request to % has no verdict yet: settle it before planning', to_target;
  end if;
  create temporary table desired on commit drop as
    select * from outbox.desired(of_data_set, of_period, zeros);
  analyze desired;

  insert into outbox.value as v (target, data_set_id, period, org_unit_id, data_element_id,
      category_option_combo_id, attribute_option_combo_id, wanted, state, run_id)
  select to_target, of_data_set, of_period, d.org_unit_id, d.data_element_id, d.category_option_combo_id,
    d.attribute_option_combo_id, d.value, 'pending', by_run
  from desired d
  on conflict (target, data_set_id, period, data_element_id, org_unit_id, category_option_combo_id,
               attribute_option_combo_id)
  do update set wanted = excluded.wanted, wanted_at = now(), run_id = excluded.run_id, attempt = 0,
    code = null, reason = null, batch_id = null, row_index = null,
    state = case when v.acknowledged = excluded.wanted then 'delivered' else 'pending' end,
    settled_at = case when v.acknowledged = excluded.wanted then now() end
  where v.wanted is distinct from excluded.wanted;

  update outbox.value v
  set wanted = null, wanted_at = now(), run_id = by_run, attempt = 0, code = null, reason = null,
    batch_id = null, row_index = null, settled_at = case when v.acknowledged is null then now() end,
    state = case when v.acknowledged is null then 'withdrawn' else 'pending' end
  where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period and v.wanted is not null
    and not exists (
      select from desired d
      where d.org_unit_id = v.org_unit_id and d.data_element_id = v.data_element_id
        and d.category_option_combo_id = v.category_option_combo_id
        and d.attribute_option_combo_id = v.attribute_option_combo_id);

  update outbox.value v
  set state = case when o.objection is null then 'pending' else 'withheld' end, code = o.objection,
    settled_at = case when o.objection is not null then now() end, reason = null, run_id = by_run
  from (
    select c.ctid as place, outbox.objection(c.wanted, e.value_type, s.data_element_id is not null,
      u.org_unit_id is not null, a.org_unit_id is not null,
      p.start_on >= coalesce(u.opening_on, p.start_on) and p.start_on <= coalesce(u.closed_on, p.start_on),
      is_period_open) as objection
    from outbox.value c
    join lookup.data_set ds using (data_set_id)
    join lookup.period p on p.period_type = ds.period_type and p.period = c.period
    left join lookup.data_set_element s using (data_set_id, data_element_id)
    left join lookup.data_element e using (data_element_id)
    left join lookup.org_unit u using (org_unit_id)
    left join lookup.data_set_org_unit a using (data_set_id, org_unit_id)
    where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
      and c.state in ('pending', 'withheld')
  ) o
  where v.ctid = o.place and (v.code is distinct from o.objection or (v.state = 'withheld') <> (o.objection is not null));

  drop table desired;
  return query
  select v.state, count(*) from outbox.value v
  where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
  group by v.state;
end $$;

-- Take the next values to send into a batch, sorted as DHIS2 likes them; deletions go apart. Null: nothing is pending.
-- The batch is committed by the caller before the request leaves, so that a crash leaves a trace to settle.
create function outbox.cut_batch(to_target text, of_data_set text, of_period text, at_most integer, by_run text)
returns bigint language plpgsql as $$
declare
  is_delete boolean;
  cut bigint;
begin
  select v.wanted is null into is_delete from outbox.value v
  where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period and v.state = 'pending'
  order by v.wanted is null limit 1;
  if not found then return null; end if;

  insert into outbox.batch (target, data_set_id, period, import_strategy, value_count, run_id)
  values (to_target, of_data_set, of_period, case when is_delete then 'DELETE' else 'CREATE_AND_UPDATE' end, 0, by_run)
  returning batch_id into cut;

  with next as (
    select v.ctid as place, row_number() over (order by v.data_element_id, v.org_unit_id,
      v.category_option_combo_id, v.attribute_option_combo_id) - 1 as row_index
    from outbox.value v
    where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period and v.state = 'pending'
      and (v.wanted is null) = is_delete
    order by v.data_element_id, v.org_unit_id, v.category_option_combo_id, v.attribute_option_combo_id
    limit at_most
  ), taken as (
    update outbox.value v
    set state = 'sending', batch_id = cut, row_index = next.row_index, attempt = v.attempt + 1, settled_at = null,
      run_id = by_run
    from next where v.ctid = next.place
    returning 1
  )
  update outbox.batch set value_count = (select count(*) from taken) where batch_id = cut;
  return cut;
end $$;

-- The request body of a batch: a dataValueSet of one data set, every key explicit, every value a string. Ids and values
-- need no escaping: ids are letters and digits, and the table takes no value that would.
create function outbox.payload(of_batch bigint)
returns text language sql stable set work_mem = '128MB' as $$
  select '{"dataSet":"' || b.data_set_id || '","dataValues":[' || string_agg('{"dataElement":"' || v.data_element_id
    || '","period":"' || v.period || '","orgUnit":"' || v.org_unit_id
    || '","categoryOptionCombo":"' || v.category_option_combo_id
    || '","attributeOptionCombo":"' || v.attribute_option_combo_id || '","value":"' || v.value || '"}', ',') || ']}'
  from outbox.batch b, (
    select data_element_id, period, org_unit_id, category_option_combo_id, attribute_option_combo_id,
      coalesce(wanted, acknowledged) as value
    from outbox.value
    where batch_id = of_batch and state = 'sending'
    order by row_index
  ) v
  where b.batch_id = of_batch
  group by b.batch_id
$$;

-- Write the verdicts of a batch. `verdicts`: a temporary table (row_index, verdict, code, reason) made by the caller.
-- stored, unchanged, deleted: DHIS2 has it so; dropped: it keeps no such zero; blocked, lost: to be sent again.
create function outbox.settle(of_batch bigint, status integer, said text)
returns void language plpgsql as $$
begin
  update outbox.value v
  set state = case
      when r.verdict in ('stored', 'unchanged', 'deleted') then
        case when v.wanted is null then 'withdrawn' else 'delivered' end
      when r.verdict = 'dropped' then 'dropped'
      when r.verdict = 'refused' then 'refused'
      else 'pending' end,
    acknowledged = case
      when r.verdict in ('stored', 'unchanged', 'deleted', 'dropped') then v.wanted else v.acknowledged end,
    code = r.code, reason = r.reason,
    settled_at = case when r.verdict in ('blocked', 'lost') then null else now() end
  from verdicts r
  where v.batch_id = of_batch and v.state = 'sending' and v.row_index = r.row_index;
  update outbox.batch set state = 'settled', settled_at = now(), http_status = status, note = said
  where batch_id = of_batch;
end $$;

-- Periods once reported whose totals now differ from the ledger, among those that start on a day or later: late data.
create function outbox.changed_periods(of_target text, of_data_set_code text, zeros text, since date)
returns table (period text, value_count bigint, digest text)
language plpgsql stable as $$
begin
  return query
  select reported.period, count(*),
    md5(string_agg(concat_ws(',', changed.org_unit_id, changed.data_element_id, changed.category_option_combo_id,
      changed.attribute_option_combo_id, changed.value), ';' order by changed.org_unit_id, changed.data_element_id,
      changed.category_option_combo_id, changed.attribute_option_combo_id))
  from (
    select distinct v.period, v.data_set_id from outbox.value v
    join lookup.data_set s using (data_set_id)
    join lookup.period p on p.period_type = s.period_type and p.period = v.period
    where v.target = of_target and s.code = of_data_set_code and p.start_on >= since
  ) reported
  cross join lateral (
    select org_unit_id, data_element_id, category_option_combo_id, attribute_option_combo_id, d.value
    from outbox.desired(reported.data_set_id, reported.period, zeros) d
    full join (
      select v.org_unit_id, v.data_element_id, v.category_option_combo_id, v.attribute_option_combo_id, v.wanted
      from outbox.value v
      where v.target = of_target and v.data_set_id = reported.data_set_id and v.period = reported.period
    ) v using (org_unit_id, data_element_id, category_option_combo_id, attribute_option_combo_id)
    where d.value is distinct from v.wanted
  ) changed
  group by reported.period;
end $$;

-- The values of a batch in the order of its payload.
create function outbox.sent_row(of_batch bigint)
returns table (row_index integer, data_element_id text, org_unit_id text, category_option_combo_id text,
  attribute_option_combo_id text, wanted text, acknowledged text, attempt integer,
  value_type text, aggregation_type text, zero_is_significant boolean)
language sql stable as $$
  select v.row_index, v.data_element_id, v.org_unit_id, v.category_option_combo_id, v.attribute_option_combo_id,
    v.wanted, v.acknowledged, v.attempt, e.value_type, e.aggregation_type, e.zero_is_significant
  from outbox.value v left join lookup.data_element e using (data_element_id)
  where v.batch_id = of_batch and v.state = 'sending'
  order by v.row_index
$$;

-- Put refused values back to pending, once a person has mended the cause.
create function outbox.requeue(of_target text, of_data_set_code text, of_period text)
returns bigint language sql as $$
  with mended as (
    update outbox.value set state = 'pending', attempt = 0, settled_at = null
    where target = of_target and state = 'refused'
      and (of_data_set_code is null
        or data_set_id in (select s.data_set_id from lookup.data_set s where s.code = of_data_set_code))
      and period = coalesce(of_period, period)
    returning 1
  )
  select count(*) from mended
$$;

create view outbox.status as
select
  v.target,
  coalesce(s.code, v.data_set_id) as data_set,
  v.period,
  v.state,
  v.code,
  count(*) as value_count,
  max(v.settled_at) as settled_at
from outbox.value v left join lookup.data_set s using (data_set_id)
group by 1, 2, 3, 4, 5
order by 1, 2, 3, 4, 5;

-- What one run did for one data set and period, in values; kept for the report and the trend.
create table outbox.delivery (
  run_id text not null, target text not null, data_set_id text not null, period text not null,
  sent bigint not null, accepted bigint not null, refused bigint not null, unchanged bigint not null,
  withheld bigint not null, request_count integer not null, seconds double precision not null,
  delivered_at timestamptz not null default now(),
  primary key (run_id, target, data_set_id, period)
);
