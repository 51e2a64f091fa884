-- What the next push will do to each value, and how right that was.

-- The org units of a ledger's data set and period that can be read: assigned, and below a root of the account.
-- `roots` null: the account may read them all.
create or replace function outbox.readable_unit(to_target text, of_data_set text, of_period text, assigned text [], roots text [])
returns table (org_unit_id text) language sql stable as $$
  select u.org_unit_id from lookup.org_unit u
  where u.org_unit_id in (select unnest(assigned)) and (roots is null or string_to_array(u.path, '/') && roots)
    and u.org_unit_id in (
      select v.org_unit_id from outbox.value v
      where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period)
  order by 1
$$;

-- Say what the next push will do to each value of a data set and period, and keep it in place of what was said before.
-- `there`: a temporary table (data_element_id, org_unit_id, category_option_combo_id, attribute_option_combo_id, value)
-- made by the caller: what DHIS2 holds in its readable units; a null value was deleted there.
-- `assigned`, `elements`, `can_write`, `roots`: what DHIS2 says now of the data set and the account, which the plan's
-- metadata may not know yet; `closing_code`: with it DHIS2 refuses the period but for the units `reopened`, null: it is
-- open. Codes are those of 2.43 for both engines. `droppable`: the elements whose zeros this server throws away; over a deleted value it stores them all the same. Edited: DHIS2 holds something else
-- than it last confirmed.
create or replace function outbox.foresee(to_target text, of_data_set text, of_period text, can_write boolean,
  assigned text [], elements text [], roots text [], closing_code text, reopened text [], droppable text [], by_run text)
returns table (fate text, code text, value_count bigint, edited_count bigint, drifted_count bigint)
language plpgsql as $$
begin
  analyze there;
  create temporary table foreseen on commit drop as
  with readable as (
    select r.org_unit_id from outbox.readable_unit(to_target, of_data_set, of_period, assigned, roots) r
  ), element as (
    select e.data_element_id from unnest(elements) e (data_element_id)
  ), unit as (
    select a.org_unit_id from unnest(assigned) a (org_unit_id)
  ), foreign_unit as (
    select u.org_unit_id from lookup.org_unit u where not string_to_array(u.path, '/') && roots
  ), seen as (
    select v.value_id, v.state, v.code, v.wanted, t.value as there, v.state in ('pending', 'sending') as is_to_send,
      case
        when not can_write then 'E8010'
        when o.org_unit_id is not null then 'E8011'
        when e.data_element_id is null then 'E8020'
        when a.org_unit_id is null then 'E8022'
        when v.org_unit_id <> all (reopened) then closing_code
      end as objection,
      v.wanted = '0' and v.data_element_id = any (droppable)
        and (t.org_unit_id is null or t.value is not null) as is_dropped,
      r.org_unit_id is not null and v.acknowledged is distinct from t.value
        and (v.acknowledged is not null or v.state = 'withdrawn')
        and not (t.value is null and v.acknowledged = '0'
          and (v.state = 'dropped' or v.data_element_id = any (droppable))) as is_edited
    from outbox.value v
    left join there t using (data_element_id, org_unit_id, category_option_combo_id, attribute_option_combo_id)
    left join readable r using (org_unit_id)
    left join unit a using (org_unit_id)
    left join foreign_unit o using (org_unit_id)
    left join element e using (data_element_id)
    where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
  )
  select s.value_id, s.is_edited, s.is_to_send and s.objection is not null as is_drifted,
    case when s.is_to_send then s.objection when s.state in ('withheld', 'refused') then s.code end as code,
    case
      when s.state = 'withheld' and s.code in ('E8030', 'beyond_open_periods') then 'closed'
      when s.state in ('withheld', 'refused') then 'refused'
      when not s.is_to_send then 'same'
      when s.objection is not null then 'refused'
      when s.is_dropped then 'zero_dropped'
      when s.wanted is not distinct from s.there then 'same'
      when s.wanted is null then 'delete'
      when s.there is null then 'create'
      else 'change'
    end as fate
  from seen s;

  delete from outbox.forecast f where f.target = to_target and f.data_set_id = of_data_set and f.period = of_period;
  insert into outbox.forecast (target, data_set_id, period, value_id, fate, code, run_id)
  select to_target, of_data_set, of_period, f.value_id, f.fate, f.code, by_run from foreseen f;
  analyze outbox.forecast;

  return query
  select f.fate, f.code, count(*), count(*) filter (where f.is_edited), count(*) filter (where f.is_drifted)
  from foreseen f group by 1, 2;
  drop table foreseen;
end $$;

-- Some values of each reason for which the forecast has them refused or closed, by the names that people know.
create or replace function outbox.forecast_example(of_target text, of_data_set text, of_period text, at_most integer)
returns table (fate text, code text, org_unit text, data_element text, wanted text)
language sql stable as $$
  select l.fate, l.code, l.org_unit, l.data_element, l.wanted
  from (
    select f.fate, f.code, coalesce(u.name, v.org_unit_id) as org_unit,
      coalesce(e.name, v.data_element_id) as data_element, v.wanted,
      row_number() over (partition by f.fate, f.code order by v.org_unit_id, v.data_element_id, v.value_id) as place
    from outbox.forecast f
    join outbox.value v using (value_id)
    left join lookup.org_unit u using (org_unit_id)
    left join lookup.data_element e using (data_element_id)
    where f.target = of_target and f.data_set_id = of_data_set and f.period = of_period
      and f.fate in ('refused', 'closed')
  ) l
  where l.place <= at_most
  order by l.fate desc, l.code, l.place
$$;

-- Hold the forecast of a data set and period to what the ledger says now, and keep the score. `is_right` null: still to
-- be sent. Left out is what was planned anew after the forecast; so is a forecast that another run has scored to its end.
create or replace function outbox.score_forecast(of_target text, of_data_set text, of_period text, by_run text)
returns table (fate text, foreseen_code text, state text, code text, is_right boolean, value_count bigint)
language plpgsql as $$
begin
  if exists (
    select from outbox.forecast_score s
    join outbox.forecast f using (target, data_set_id, period, made_at)
    where s.target = of_target and s.data_set_id = of_data_set and s.period = of_period
      and s.run_id <> by_run and s.open_count = 0
  ) then
    return;
  end if;
  create temporary table scored on commit drop as
  select f.fate, f.code as foreseen_code, v.state, v.code, f.made_at, count(*) as value_count,
    case
      when v.state in ('pending', 'sending') then null
      when f.fate in ('create', 'change') then v.state = 'delivered' and v.acknowledged is not distinct from v.wanted
      when f.fate = 'same' then v.state in ('delivered', 'dropped', 'withdrawn')
      when f.fate = 'delete' then v.state = 'withdrawn'
      when f.fate = 'zero_dropped' then v.state = 'dropped'
      when f.fate = 'refused' then v.state in ('refused', 'withheld') and v.code is not distinct from f.code
      else v.state = 'withheld'
    end as is_right
  from outbox.forecast f
  join outbox.value v using (value_id)
  where f.target = of_target and f.data_set_id = of_data_set and f.period = of_period and v.wanted_at <= f.made_at
  group by 1, 2, 3, 4, 5, 7;

  insert into outbox.forecast_score as s (run_id, target, data_set_id, period, right_count, wrong_count, open_count,
    share, by_fate, made_at)
  select by_run, of_target, of_data_set, of_period, sum(t.right_count), sum(t.wrong_count), sum(t.open_count),
    sum(t.right_count) / nullif(sum(t.right_count + t.wrong_count), 0),
    jsonb_object_agg(t.fate, jsonb_build_object('right', t.right_count, 'wrong', t.wrong_count)), max(t.made_at)
  from (
    select c.fate, max(c.made_at) as made_at,
      coalesce(sum(c.value_count) filter (where c.is_right), 0) as right_count,
      coalesce(sum(c.value_count) filter (where not c.is_right), 0) as wrong_count,
      coalesce(sum(c.value_count) filter (where c.is_right is null), 0) as open_count
    from scored c group by c.fate
  ) t
  having count(*) > 0
  on conflict (run_id, target, data_set_id, period) do update set
    right_count = excluded.right_count, wrong_count = excluded.wrong_count, open_count = excluded.open_count,
    share = excluded.share, by_fate = excluded.by_fate, made_at = excluded.made_at, scored_at = now();

  return query select c.fate, c.foreseen_code, c.state, c.code, c.is_right, c.value_count::bigint from scored c;
  drop table scored;
end $$;
