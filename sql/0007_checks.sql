-- What is decided before anything is sent: what should be in DHIS2, what of it differs from the ledger, and what of that
-- DHIS2 would refuse, store elsewhere, or let others suffer for.

create table lookup.category_option (   -- the options of every combo that the data sets use
  category_option_id text primary key, code text,
  start_on date, end_on date,           -- null: open
  can_write boolean,                    -- by this account; null: the server does not say
  org_unit_ids text[]                   -- below these only; null: everywhere
);

create table lookup.lock_exception (    -- for these an administrator opened an expired period again
  data_set_id text not null, period text not null, org_unit_id text not null,
  primary key (data_set_id, period, org_unit_id)
);

-- So many periods after an attribute option's end DHIS2 still takes its values.
alter table lookup.data_set add column open_periods_after_co_end_date integer not null default 0;

create index value_withheld on outbox.value (target, data_set_id, period) where state = 'withheld';

-- Why a text is no value of a type, by the rules that both engines have; null: DHIS2 stores it as it stands. What an
-- engine would take and spell otherwise (1 for true, 3.0 for 3) is none: it would not compare equal when read back.
-- Types that are not named here are left to DHIS2, which refuses a bad value alone.
create function outbox.value_objection(value text, value_type text, option_codes text[])
returns text language sql immutable parallel safe as $$
  select case
    when value is null then null
    when value !~ '\S' then 'E8120'
    when length(value) > 50000 then 'E8122'
    else coalesce(
      case
        when value_type like 'INTEGER%' then case
          when value !~ '^(0|-?[1-9][0-9]{0,9})$' or value::bigint not between -2147483648 and 2147483647
            or (value_type = 'INTEGER_POSITIVE' and value::bigint <= 0)
            or (value_type = 'INTEGER_ZERO_OR_POSITIVE' and value::bigint < 0)
            or (value_type = 'INTEGER_NEGATIVE' and value::bigint >= 0) then 'E8122' end
        when value_type in ('NUMBER', 'PERCENTAGE', 'UNIT_INTERVAL') then case
          when length(value) >= 250 or value !~ '^-?(0|[1-9][0-9]*)(\.[0-9]+)?$'
            or (value_type = 'PERCENTAGE' and value::numeric not between 0 and 100)
            or (value_type = 'UNIT_INTERVAL' and value::numeric not between 0 and 1) then 'E8122' end
        when value_type = 'BOOLEAN' and value not in ('true', 'false') then 'E8122'
        when value_type = 'TRUE_ONLY' and value <> 'true' then 'E8122'
        when value_type in ('DATE', 'AGE') then case
          when value !~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-[0-9]{2}$'
            or substr(value, 9)::integer not between 1 and extract(day from make_date(
              left(value, 4)::integer, substr(value, 6, 2)::integer, 1) + interval '1 month - 1 day') then 'E8122' end
        when value_type = 'DATETIME' and value !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T' then 'E8122'
        when value_type = 'TIME' and value !~ '^([01]?[0-9]|2[0-3]):[0-5][0-9]$' then 'E8122'
        when value_type = 'LETTER' and value !~ '^[^0-9[:punct:]]$' then 'E8122'
        when value_type = 'COORDINATE' and value !~ '^\[.*,.*\]$' then 'E8122'
        when value_type in ('ORGANISATION_UNIT', 'FILE_RESOURCE', 'IMAGE') and value !~ '^[A-Za-z][A-Za-z0-9]{10}$'
          then 'E8122'
      end,
      case
        when value_type = 'MULTI_TEXT' then case when not string_to_array(value, ',') <@ option_codes then 'E8123' end
        when not value = any (option_codes) then 'E8123'
      end)
  end
$$;

-- A total as DHIS2 itself spells it in an element of this type.
create function outbox.spelled(total numeric, value_type text)
returns text language sql immutable parallel safe as $$
  select case
    when value_type in ('BOOLEAN', 'TRUE_ONLY') and total = 1 then 'true'
    when value_type = 'BOOLEAN' and total = 0 then 'false'
    else trim_scale(total)::text
  end
$$;

-- The zero of an element; null: it can hold none.
create function outbox.zero_of(value_type text, option_codes text[])
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
set local check_function_bodies = off;
create function outbox.desired(of_data_set text, of_period text, zeros text)
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
    select m.org_unit_id from measured m where zeros = 'reported'
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
set local check_function_bodies = on;

-- The cells whose wanted value differs from what the indicators say now. A delivered value that is counted no longer is
-- wanted no more (null), or to be zero where the policy says so and a zero can stand; once zeroed it stays as it is.
-- `acknowledged`: what DHIS2 holds; of a zero that it dropped it holds nothing.
create function outbox.difference(to_target text, of_data_set text, of_period text, zeros text, vanished text)
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
        when vanished = 'zero' and v.acknowledged is not null
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

-- What speaks against each value that waits or was held back, as DHIS2's metadata have it; null: nothing. The codes are
-- those of 2.43, in its order, for both engines: what 2.41 would store in the wrong place blocks a whole request there.
-- A deletion is judged like a value, but for its content. One cell cannot stand twice: it is the ledger's key.
create function outbox.objection(to_target text, of_data_set text, of_period text, is_period_open boolean,
  is_beyond boolean)
returns table (place tid, state text, code text, objection text)
language sql stable as $$
  with slice as (                       -- one row, also for a data set that DHIS2 has no more
    select s.category_combo_id, coalesce(s.open_periods_after_co_end_date, 0) = 0 as is_end_final, p.start_on, p.end_on,
      exists (select from lookup.period o where o.period = of_period) as is_period,
      (select outbox.has_group_import(to_target)) as has_group_import
    from (values (1)) one (row)
    left join lookup.data_set s on s.data_set_id = of_data_set
    left join lookup.period p on p.period_type = s.period_type and p.period = of_period
  ), combo as (
    select c.category_option_combo_id, c.category_combo_id, c.option_ids, max(o.start_on) as start_on,
      min(o.end_on) as end_on, bool_or(o.can_write is false) as is_denied,
      bool_or(o.org_unit_ids is not null) as is_bound
    from lookup.category_option_combo c
    left join lookup.category_combo k using (category_combo_id)
    left join lateral unnest(c.option_ids) i (id) on k.is_default is not true
    left join lookup.category_option o on o.category_option_id = i.id
    group by c.category_option_combo_id
  )
  select c.ctid, c.state, c.code,
    case
      when is_beyond and (c.code = 'beyond_open_periods' or c.wanted_at = now()) then 'beyond_open_periods'
      when cc.is_denied or ac.is_denied then 'E8012'
      when d.data_element_id is null then 'E8020'
      when u.org_unit_id is null then 'E8107'
      when a.org_unit_id is null then 'E8022'
      when not s.is_period then 'unreadable_period'
      when s.start_on is null then 'E8021'
      when ac.category_combo_id is distinct from s.category_combo_id then 'E8023'
      when cc.category_combo_id is distinct from d.category_combo_id then 'E8024'
      when ac.is_bound and exists (
        select from lookup.category_option o
        where o.category_option_id = any (ac.option_ids) and not o.org_unit_ids && string_to_array(u.path, '/'))
        then 'E8025'
      when s.start_on < u.opening_on or s.start_on > u.closed_on then 'E8031'
      when not is_period_open and x.org_unit_id is null then 'E8030'
      -- 2.43 wants the whole period within the options' dates, 2.41 is content when they touch
      when ac.start_on > case when s.has_group_import then s.start_on else s.end_on end then 'E8032'
      when ac.end_on < case when s.has_group_import then s.end_on else s.start_on end and s.is_end_final then 'E8032'
      else outbox.value_objection(c.wanted, e.value_type, e.option_codes)
    end
  from outbox.value c
  cross join slice s
  left join lookup.data_set_element d on d.data_set_id = of_data_set and d.data_element_id = c.data_element_id
  left join lookup.data_element e on e.data_element_id = c.data_element_id
  left join lookup.org_unit u on u.org_unit_id = c.org_unit_id
  left join lookup.data_set_org_unit a on a.data_set_id = of_data_set and a.org_unit_id = c.org_unit_id
  left join lookup.lock_exception x
    on x.data_set_id = of_data_set and x.period = of_period and x.org_unit_id = c.org_unit_id
  left join combo cc on cc.category_option_combo_id = c.category_option_combo_id
  left join combo ac on ac.category_option_combo_id = c.attribute_option_combo_id
  where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
    and (c.state = 'pending' or c.state = 'withheld')
$$;

-- Withhold what something speaks against, and release what nothing speaks against any more. Only what changes is written.
-- `is_beyond`: the period lies before those that late data may still change, and was reported before: what changed in
-- this transaction, and what was withheld for that before, is withheld.
create function outbox.check_values(to_target text, of_data_set text, of_period text, is_period_open boolean,
  is_beyond boolean, by_run text)
returns void language plpgsql set work_mem = '128MB' set enable_nestloop = off set jit = off as $$  -- statistics may lag
begin
  update outbox.value v
  set state = case when o.objection is null then 'pending' else 'withheld' end, code = o.objection,
    settled_at = case when o.objection is not null then now() end, reason = null, run_id = by_run
  from outbox.objection(to_target, of_data_set, of_period, is_period_open, is_beyond) o
  where v.ctid = o.place and v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
    and (v.state = 'pending' or v.state = 'withheld')
    and (o.code is distinct from o.objection or (o.state = 'withheld') <> (o.objection is not null));
end $$;

-- Bring the ledger of one data set and period up to what the indicators say now; returns how many values stand in which
-- state. What is wanted unchanged is not touched; what DHIS2 never had and is wanted no more needs no request, nor what
-- another data set wants in the same cell.
create function outbox.plan(to_target text, of_data_set text, of_period text, zeros text, vanished text,
  is_period_open boolean, is_beyond boolean, by_run text)
returns table (state text, value_count bigint)
language plpgsql as $$
begin
  if exists (select from outbox.batch b where b.target = to_target and b.state = 'sending') then
    raise exception 'a request to % has no verdict yet: settle it before planning', to_target;
  end if;
  create temporary table difference on commit drop as
    select * from outbox.difference(to_target, of_data_set, of_period, zeros, vanished);
  analyze difference;
  if vanished = 'zero' then             -- no zero into a cell that moved to another data set: that would overwrite its value
    update difference d set wanted = null
    from outbox.value o
    where d.wanted is not null and d.acknowledged is not null
      and o.target = to_target and o.data_set_id = any (outbox.other_data_sets(to_target, of_data_set))
      and o.period = of_period and o.data_element_id = d.data_element_id and o.org_unit_id = d.org_unit_id
      and o.category_option_combo_id = d.category_option_combo_id
      and o.attribute_option_combo_id = d.attribute_option_combo_id and o.wanted is not null
      and not exists (
        select from lookup.target t
        where t.data_set_id = of_data_set and t.data_element_id = d.data_element_id
          and t.category_option_combo_id = d.category_option_combo_id
          and t.attribute_option_combo_id = d.attribute_option_combo_id);
  end if;

  update outbox.value v
  set wanted = d.wanted, acknowledged = d.acknowledged, wanted_at = now(), run_id = by_run, attempt = 0, code = null,
    reason = null, batch_id = null, row_index = null,
    state = case
      when d.acknowledged is distinct from d.wanted then 'pending'
      when d.wanted is null then 'withdrawn'
      else 'delivered' end,
    settled_at = case when d.acknowledged is not distinct from d.wanted then now() end
  from difference d where v.value_id = d.value_id;

  insert into outbox.value (target, data_set_id, period, org_unit_id, data_element_id, category_option_combo_id,
    attribute_option_combo_id, wanted, state, run_id)
  select to_target, of_data_set, of_period, d.org_unit_id, d.data_element_id, d.category_option_combo_id,
    d.attribute_option_combo_id, d.wanted, 'pending', by_run
  from difference d where d.value_id is null;
  drop table difference;

  if is_period_open and not is_beyond then
    perform outbox.offer_dropped(to_target, of_data_set, of_period, by_run);
  end if;
  perform outbox.hand_over(to_target, of_data_set, of_period, by_run);
  perform outbox.check_values(to_target, of_data_set, of_period, is_period_open, is_beyond and exists (
    select from outbox.delivery r     -- to its end, by an earlier run
    where r.target = to_target and r.data_set_id = of_data_set and r.period = of_period
      and r.run_id <> by_run and r.waiting = 0), by_run);

  return query
  select v.state, count(*) from outbox.value v
  where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
  group by v.state;
end $$;
