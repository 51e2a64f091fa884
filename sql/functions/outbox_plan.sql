-- What should be in DHIS2, and what of it differs from the ledger.

-- Whether a server has the engine of 2.43, as its metadata were last read.
create or replace function outbox.has_group_import(of_target text)
returns boolean language sql stable as $$
  select coalesce(max((regexp_match(version, '^2\.(\d+)'))[1]::integer) >= 43, false)
  from lookup.server where target = of_target
$$;

-- Whether a server keeps the zeros of an element: the truth table of docs/zeros.md.
create or replace function outbox.keeps_zero(value_type text, aggregation_type text, is_significant boolean, has_group_import boolean)
returns boolean language sql immutable parallel safe as $$
  select has_group_import or is_significant or value_type !~ '^(INTEGER|NUMBER$|PERCENTAGE$|UNIT_INTERVAL$)'
    or aggregation_type in ('AVERAGE', 'AVERAGE_SUM_ORG_UNIT')
$$;

-- Zeros that DHIS2 dropped by rule go once more where it would keep them now: after an upgrade to 2.43, or when their
-- element has been given another type or zeros that count.
create or replace function outbox.offer_dropped(to_target text, of_data_set text, of_period text, by_run text)
returns void language sql as $$
  update outbox.value set state = 'pending', acknowledged = null, attempt = 0, settled_at = null, run_id = by_run
  where target = to_target and data_set_id = of_data_set and period = of_period and state = 'dropped'
    and data_element_id = any (array(
      select e.data_element_id from lookup.data_element e
      where outbox.keeps_zero(e.value_type, e.aggregation_type, e.zero_is_significant,
        (select outbox.has_group_import(to_target)))))
$$;

-- The data sets that have a ledger at this target, but for one: a step over the key for each, not a read of all rows.
create or replace function outbox.other_data_sets(to_target text, of_data_set text)
returns text[] language sql stable as $$
  with recursive found (data_set_id) as (
    select min(v.data_set_id) from outbox.value v where v.target = to_target
    union all
    select (select min(v.data_set_id) from outbox.value v where v.target = to_target and v.data_set_id > f.data_set_id)
    from found f where f.data_set_id is not null
  )
  select coalesce(array_agg(f.data_set_id), '{}') from found f where f.data_set_id <> of_data_set
$$;

-- A cell of DHIS2 knows no data set: what another one wants there is not deleted by the one that wants it no more. It
-- gives up what DHIS2 holds there to its new owner, and is withdrawn without a request.
create or replace function outbox.transfer_cells(to_target text, of_data_set text, of_period text, by_run text)
returns void language plpgsql as $$
declare
  others text[] := outbox.other_data_sets(to_target, of_data_set);
begin
  if others = '{}' then return; end if;
  with transfer as materialized (
    select v.value_id, v.acknowledged, o.value_id as new_owner_id
    from outbox.value v
    join outbox.value o on o.target = v.target and o.data_set_id = any (others) and o.period = v.period
      and o.data_element_id = v.data_element_id and o.org_unit_id = v.org_unit_id
      and o.category_option_combo_id = v.category_option_combo_id
      and o.attribute_option_combo_id = v.attribute_option_combo_id
    where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
      and (v.state = 'pending' or v.state = 'withheld') and v.wanted is null and o.wanted is not null
  ), new_owner as (
    update outbox.value o set acknowledged = t.acknowledged, run_id = by_run
    from transfer t where o.value_id = t.new_owner_id and o.acknowledged is null
  )
  update outbox.value v
  set state = 'withdrawn', acknowledged = null, code = null, reason = null, settled_at = now(), run_id = by_run
  from transfer t where v.value_id = t.value_id;
end $$;

-- A total as DHIS2 itself spells it in an element of this type.
create or replace function outbox.spelled(total numeric, value_type text)
returns text language sql immutable parallel safe as $$
  select case
    when value_type in ('BOOLEAN', 'TRUE_ONLY') and total = 1 then 'true'
    when value_type = 'BOOLEAN' and total = 0 then 'false'
    else trim_scale(total)::text
  end
$$;

-- The zero of an element; null: it can hold none.
create or replace function outbox.zero_of(value_type text, option_codes text[])
returns text language sql immutable parallel safe as $$
  select case
    when outbox.value_objection(outbox.spelled(0, value_type), value_type, option_codes) is null
      then outbox.spelled(0, value_type)
  end
$$;

-- What a data set's indicators say should be in DHIS2 for one period; NULL sends nothing, zeros as the policy says. A zero
-- is sent or filled in only where one can stand, so that what an element of no zero held before is wanted no more; booleans
-- are spelled as DHIS2 stores them. Plain SQL, so that the planner sees through it. It reads indicator.value, which the
-- first build of the views makes.
create or replace function outbox.desired(of_data_set text, of_period text, zeros text)
returns table (org_unit_id text, data_element_id text, category_option_combo_id text, attribute_option_combo_id text,
  value text)
language sql stable as $$
  with measured as not materialized (
    select v.org_unit_id, t.data_element_id, t.category_option_combo_id, t.attribute_option_combo_id, v.value
    from lookup.target t
    join indicator.value v on v.indicator = t.indicator and v.measure = t.measure
      and v.disaggregation = t.disaggregation and v.period_type = t.period_type
    where t.data_set_id = of_data_set and v.period = of_period
  ), unit as (
    select m.org_unit_id from measured m where zeros = 'reporting_units'
    union
    select a.org_unit_id from lookup.data_set_org_unit a left join lookup.org_unit u using (org_unit_id)
    where zeros = 'assigned' and a.data_set_id = of_data_set
      and ((                            -- open when the period begins; DHIS2 takes no value otherwise
        select p.start_on from lookup.period p join lookup.data_set s using (period_type)
        where s.data_set_id = of_data_set and p.period = of_period
      ) between coalesce(u.opening_on, '-infinity') and coalesce(u.closed_on, 'infinity')) is not false
  ), zeroless as materialized (         -- once an element, not once a value
    select e.data_element_id from lookup.data_element e where outbox.zero_of(e.value_type, e.option_codes) is null
  ), filled as (
    select u.org_unit_id, t.data_element_id, t.category_option_combo_id, t.attribute_option_combo_id, 0::numeric
    from unit u
    join lookup.target t on t.data_set_id = of_data_set
    where zeros <> 'none' and not exists (
      select from measured m
      where m.org_unit_id = u.org_unit_id and m.data_element_id = t.data_element_id
        and m.category_option_combo_id = t.category_option_combo_id
        and m.attribute_option_combo_id = t.attribute_option_combo_id)
  )
  select d.org_unit_id, d.data_element_id, d.category_option_combo_id, d.attribute_option_combo_id,
    outbox.spelled(d.value, e.value_type)
  from (select m.* from measured m where zeros <> 'none' or m.value <> 0 union all select f.* from filled f) d
  left join lookup.data_element e using (data_element_id)
  where d.value <> 0 or d.data_element_id not in (select z.data_element_id from zeroless z)
$$;

-- The cells whose wanted value differs from what the indicators say now. A delivered value that is counted no longer is
-- wanted no more (null), or to be zero where the policy says so and a zero can stand; once zeroed it stays as it is.
-- `acknowledged`: what DHIS2 holds; of a zero that it dropped it holds nothing.
create or replace function outbox.difference(to_target text, of_data_set text, of_period text, zeros text, removed_totals text)
returns table (value_id bigint, org_unit_id text, data_element_id text, category_option_combo_id text,
  attribute_option_combo_id text, wanted text, acknowledged text)
language plpgsql stable set work_mem = '128MB' set enable_nestloop = off set jit = off as $$  -- statistics may lag
#variable_conflict use_column
begin
  return query
  select c.value_id, c.org_unit_id, c.data_element_id, c.category_option_combo_id, c.attribute_option_combo_id, c.wanted,
    c.acknowledged
  from (
    select v.value_id, org_unit_id, data_element_id, category_option_combo_id, attribute_option_combo_id,
      case
        when d.value is not null then d.value
        when removed_totals = 'zero' and v.acknowledged is not null
          then (select outbox.zero_of(e.value_type, e.option_codes) from lookup.data_element e
            where e.data_element_id = v.element_id)
      end as wanted,
      case when v.state <> 'dropped' then v.acknowledged end as acknowledged, v.wanted as was
    from outbox.desired(of_data_set, of_period, zeros) d
    full join (
      select l.value_id, l.org_unit_id, l.data_element_id, l.data_element_id as element_id, l.category_option_combo_id,
        l.attribute_option_combo_id, l.wanted, l.acknowledged, l.state
      from outbox.value l where l.target = to_target and l.data_set_id = of_data_set and l.period = of_period
    ) v using (org_unit_id, data_element_id, category_option_combo_id, attribute_option_combo_id)
  ) c
  where c.wanted is distinct from c.was;
end $$;

-- Refuse to go on while a request to the server has no verdict.
create or replace function outbox.refuse_unsettled(to_target text)
returns void language plpgsql stable as $$
begin
  if exists (select from outbox.batch b where b.target = to_target and b.state = 'sending') then
    raise exception 'a request to % has no verdict yet: settle it first', to_target;
  end if;
end $$;

-- Write the cells whose wanted value differs: changed ones, and new ones. What DHIS2 never had and is wanted no more needs
-- no request. No zero goes into a cell that moved to another data set: that would overwrite its value.
create or replace function outbox.write_difference(to_target text, of_data_set text, of_period text, zeros text,
  removed_totals text, by_run text)
returns void language sql as $$
  with difference as materialized (
    select d.value_id, d.org_unit_id, d.data_element_id, d.category_option_combo_id, d.attribute_option_combo_id,
      d.acknowledged, case
        when removed_totals = 'zero' and d.wanted is not null and d.acknowledged is not null
          and outbox.is_wanted_by(o.others, to_target, of_period, d.data_element_id, d.org_unit_id,
            d.category_option_combo_id, d.attribute_option_combo_id)
          and not exists (
            select from lookup.target t
            where t.data_set_id = of_data_set and t.data_element_id = d.data_element_id
              and t.category_option_combo_id = d.category_option_combo_id
              and t.attribute_option_combo_id = d.attribute_option_combo_id) then null
        else d.wanted
      end as wanted
    from outbox.difference(to_target, of_data_set, of_period, zeros, removed_totals) d
    cross join (select outbox.other_data_sets(to_target, of_data_set) as others) o
  ), changed as (
    update outbox.value v
    set wanted = d.wanted, acknowledged = d.acknowledged, wanted_at = now(), run_id = by_run, attempt = 0, code = null,
      reason = null, batch_id = null, row_index = null,
      state = case
        when d.acknowledged is distinct from d.wanted then 'pending'
        when d.wanted is null then 'withdrawn'
        else 'delivered' end,
      settled_at = case when d.acknowledged is not distinct from d.wanted then now() end
    from difference d where v.value_id = d.value_id
  )
  insert into outbox.value (target, data_set_id, period, org_unit_id, data_element_id, category_option_combo_id,
    attribute_option_combo_id, wanted, state, run_id)
  select to_target, of_data_set, of_period, d.org_unit_id, d.data_element_id, d.category_option_combo_id,
    d.attribute_option_combo_id, d.wanted, 'pending', by_run
  from difference d where d.value_id is null
$$;

-- Bring the ledger of one data set and period up to what the indicators say now; returns how many values stand in which
-- state. What is wanted unchanged is not touched; what another data set wants in the same cell needs no request.
create or replace function outbox.plan(to_target text, of_data_set text, of_period text, zeros text, removed_totals text,
  is_period_open boolean, is_beyond boolean, by_run text)
returns table (state text, value_count bigint)
language plpgsql as $$
begin
  perform outbox.refuse_unsettled(to_target);
  perform outbox.write_difference(to_target, of_data_set, of_period, zeros, removed_totals, by_run);
  if is_period_open and not is_beyond then
    perform outbox.offer_dropped(to_target, of_data_set, of_period, by_run);
  end if;
  perform outbox.transfer_cells(to_target, of_data_set, of_period, by_run);
  perform outbox.check_values(to_target, of_data_set, of_period, is_period_open, is_beyond and exists (
    select from outbox.delivery r     -- to its end, by an earlier run
    where r.target = to_target and r.data_set_id = of_data_set and r.period = of_period
      and r.run_id <> by_run and r.waiting = 0), by_run);

  return query
  select v.state, count(*) from outbox.value v
  where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
  group by v.state;
end $$;
