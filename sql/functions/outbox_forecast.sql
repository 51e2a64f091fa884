-- What the next push will do to each value, and how right that was.

-- The org units of a ledger's data set and period that can be read: assigned, and below a root of the account.
-- `roots` null: the account may read them all.
create or replace function outbox.readable_unit(to_target text, of_data_set text, of_period text, assigned text[], roots text[])
returns table (org_unit_id text) language sql stable as $$
  select u.org_unit_id from lookup.org_unit u
  where u.org_unit_id in (select unnest(assigned)) and (roots is null or string_to_array(u.path, '/') && roots)
    and u.org_unit_id in (
      select v.org_unit_id from outbox.value v
      where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period)
  order by 1
$$;

-- What the next push will do to a value. `objection`: the code with which DHIS2 would refuse it now.
create or replace function outbox.predicted_outcome(state text, code text, objection text, is_dropped boolean,
  wanted text, stored text)
returns text language sql immutable parallel safe as $$
  select case
    when state = 'withheld' and code in ('E8030', 'beyond_open_periods') then 'closed'
    when state in ('withheld', 'refused') then 'refused'
    when state not in ('pending', 'sending') then 'same'
    when objection is not null then 'refused'
    when is_dropped then 'zero_dropped'
    when wanted is not distinct from stored then 'same'
    when wanted is null then 'delete'
    when stored is null then 'create'
    else 'change'
  end
$$;

-- What DHIS2 says now of the data set and the account, which the plan's metadata may not know yet: an object of can_write,
-- the org_unit_ids and data_element_ids of the data set, the root_ids of the account (null: it may read and write
-- everywhere), closing_code (with it DHIS2 refuses the period but for lock_exception_unit_ids; null: it is open) and
-- has_group_import.
create or replace function outbox.data_entry_window(entry_window jsonb)
returns table (can_write boolean, org_unit_ids text[], data_element_ids text[], root_ids text[], closing_code text,
  lock_exception_unit_ids text[], has_group_import boolean)
language sql immutable parallel safe rows 1 as $$
  select w.* from jsonb_to_record(entry_window) w (can_write boolean, org_unit_ids text[], data_element_ids text[],
    root_ids text[], closing_code text, lock_exception_unit_ids text[], has_group_import boolean)
$$;

-- Each value of a data set and period beside what DHIS2 holds and what it says now. `stored`: null where a value was
-- deleted. Codes are those of 2.43 for both engines. `is_dropped`: the server throws such a zero away, but stores it over
-- a deleted value. `is_edited`: DHIS2 holds something else than it last confirmed.
create or replace function outbox.observed_value(to_target text, of_data_set text, of_period text, entry_window jsonb,
  stored_values jsonb)
returns table (value_id bigint, state text, code text, wanted text, stored text, objection text, is_dropped boolean,
  is_edited boolean)
language sql stable as $$
  with entry as materialized (
    select w.* from outbox.data_entry_window(entry_window) w
  ), readable as (
    select r.org_unit_id
    from outbox.readable_unit(to_target, of_data_set, of_period, (select w.org_unit_ids from entry w),
      (select w.root_ids from entry w)) r
  ), droppable as (
    select e.data_element_id from lookup.data_element e
    where not outbox.keeps_zero(e.value_type, e.aggregation_type, e.zero_is_significant,
      (select w.has_group_import from entry w))
  ), held as (
    select t.*, case when not t.is_deleted then coalesce(t.value, '') end as stored
    from outbox.stored_value(stored_values) t
  ), foreign_unit as (
    select u.org_unit_id from lookup.org_unit u
    where not string_to_array(u.path, '/') && (select w.root_ids from entry w)
  )
  select v.value_id, v.state, v.code, v.wanted, t.stored,
    case
      when not w.can_write then 'E8010'
      when f.org_unit_id is not null then 'E8011'
      when e.data_element_id is null then 'E8020'
      when a.org_unit_id is null then 'E8022'
      when v.org_unit_id <> all (w.lock_exception_unit_ids) then w.closing_code
    end,
    v.wanted = '0' and z.data_element_id is not null and (t.org_unit_id is null or t.stored is not null),
    r.org_unit_id is not null and v.acknowledged is distinct from t.stored
      and (v.acknowledged is not null or v.state = 'withdrawn')
      and not (t.stored is null and v.acknowledged = '0' and (v.state = 'dropped' or z.data_element_id is not null))
  from outbox.value v
  cross join entry w
  left join held t using (data_element_id, org_unit_id, category_option_combo_id, attribute_option_combo_id)
  left join readable r using (org_unit_id)
  left join (select unnest(org_unit_ids) as org_unit_id from entry) a using (org_unit_id)
  left join foreign_unit f using (org_unit_id)
  left join (select unnest(data_element_ids) as data_element_id from entry) e using (data_element_id)
  left join droppable z using (data_element_id)
  where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
$$;

-- Predict what the next push will do to each value of a data set and period, and keep it in place of the last forecast.
-- `stored_values`: what DHIS2 holds in its readable units (outbox.stored_value).
create or replace function outbox.forecast_values(to_target text, of_data_set text, of_period text, entry_window jsonb,
  stored_values jsonb, by_run text)
returns table (predicted_outcome text, code text, value_count bigint, edited_count bigint, drifted_count bigint)
language plpgsql set enable_nestloop = off as $$  -- statistics may lag
begin
  delete from outbox.forecast f where f.target = to_target and f.data_set_id = of_data_set and f.period = of_period;
  return query
  with predicted as materialized (
    select o.value_id, o.is_edited, o.state in ('pending', 'sending') and o.objection is not null as is_drifted,
      case
        when o.state in ('pending', 'sending') then o.objection
        when o.state in ('withheld', 'refused') then o.code
      end as code,
      outbox.predicted_outcome(o.state, o.code, o.objection, o.is_dropped, o.wanted, o.stored) as outcome
    from outbox.observed_value(to_target, of_data_set, of_period, entry_window, stored_values) o
  ), kept as (
    insert into outbox.forecast (target, data_set_id, period, value_id, predicted_outcome, code, run_id)
    select to_target, of_data_set, of_period, p.value_id, p.outcome, p.code, by_run from predicted p
  )
  select p.outcome, p.code, count(*), count(*) filter (where p.is_edited), count(*) filter (where p.is_drifted)
  from predicted p group by 1, 2;
  analyze outbox.forecast;
end $$;

-- Some values of each reason for which the forecast has them refused or closed, by the names that people know.
create or replace function outbox.forecast_example(of_target text, of_data_set text, of_period text, at_most integer)
returns table (predicted_outcome text, code text, org_unit text, data_element text, wanted text)
language sql stable as $$
  select l.predicted_outcome, l.code, l.org_unit, l.data_element, l.wanted
  from (
    select f.predicted_outcome, f.code, coalesce(u.name, v.org_unit_id) as org_unit,
      coalesce(e.name, v.data_element_id) as data_element, v.wanted,
      row_number() over (partition by f.predicted_outcome, f.code order by v.org_unit_id, v.data_element_id, v.value_id) as place
    from outbox.forecast f
    join outbox.value v using (value_id)
    left join lookup.org_unit u using (org_unit_id)
    left join lookup.data_element e using (data_element_id)
    where f.target = of_target and f.data_set_id = of_data_set and f.period = of_period
      and f.predicted_outcome in ('refused', 'closed')
  ) l
  where l.place <= at_most
  order by l.predicted_outcome desc, l.code, l.place
$$;

-- Whether a value came to what was forecast of it; null: it is still to be sent.
create or replace function outbox.is_forecast_right(predicted_outcome text, predicted_code text, state text, code text,
  wanted text, acknowledged text)
returns boolean language sql immutable parallel safe as $$
  select case
    when state in ('pending', 'sending') then null
    when predicted_outcome in ('create', 'change') then state = 'delivered' and acknowledged is not distinct from wanted
    when predicted_outcome = 'same' then state in ('delivered', 'dropped', 'withdrawn')
    when predicted_outcome = 'delete' then state = 'withdrawn'
    when predicted_outcome = 'zero_dropped' then state = 'dropped'
    when predicted_outcome = 'refused' then state in ('refused', 'withheld') and code is not distinct from predicted_code
    else state = 'withheld'
  end
$$;

-- What the forecast of a data set and period came to, by what the ledger says now. Left out is what was planned anew after
-- the forecast; so is a forecast that another run has scored to its end.
create or replace function outbox.forecast_result(of_target text, of_data_set text, of_period text, by_run text)
returns table (predicted_outcome text, predicted_code text, state text, code text, is_right boolean, value_count bigint,
  made_at timestamptz)
language sql stable as $$
  select f.predicted_outcome, f.code, v.state, v.code,
    outbox.is_forecast_right(f.predicted_outcome, f.code, v.state, v.code, v.wanted, v.acknowledged), count(*), f.made_at
  from outbox.forecast f
  join outbox.value v using (value_id)
  where f.target = of_target and f.data_set_id = of_data_set and f.period = of_period and v.wanted_at <= f.made_at
    and not exists (
      select from outbox.forecast_score s
      where s.target = of_target and s.data_set_id = of_data_set and s.period = of_period and s.made_at = f.made_at
        and s.run_id <> by_run and s.open_count = 0)
  group by 1, 2, 3, 4, 5, 7
$$;

-- Hold the forecast of a data set and period to what the ledger says now, and keep the score.
create or replace function outbox.score_forecast(of_target text, of_data_set text, of_period text, by_run text)
returns table (predicted_outcome text, predicted_code text, state text, code text, is_right boolean, value_count bigint)
language sql as $$
  with scored as materialized (
    select r.* from outbox.forecast_result(of_target, of_data_set, of_period, by_run) r
  ), counted as (
    select c.predicted_outcome, max(c.made_at) as made_at,
      coalesce(sum(c.value_count) filter (where c.is_right), 0) as right_count,
      coalesce(sum(c.value_count) filter (where not c.is_right), 0) as wrong_count,
      coalesce(sum(c.value_count) filter (where c.is_right is null), 0) as open_count
    from scored c group by c.predicted_outcome
  ), kept as (
    insert into outbox.forecast_score as s (run_id, target, data_set_id, period, right_count, wrong_count, open_count,
      share, by_predicted_outcome, made_at)
    select by_run, of_target, of_data_set, of_period, sum(t.right_count), sum(t.wrong_count), sum(t.open_count),
      sum(t.right_count) / nullif(sum(t.right_count + t.wrong_count), 0),
      jsonb_object_agg(t.predicted_outcome, jsonb_build_object('right', t.right_count, 'wrong', t.wrong_count)),
      max(t.made_at)
    from counted t
    having count(*) > 0
    on conflict (run_id, target, data_set_id, period) do update set
      right_count = excluded.right_count, wrong_count = excluded.wrong_count, open_count = excluded.open_count,
      share = excluded.share, by_predicted_outcome = excluded.by_predicted_outcome, made_at = excluded.made_at,
      scored_at = now()
  )
  select c.predicted_outcome, c.predicted_code, c.state, c.code, c.is_right, c.value_count from scored c
$$;
