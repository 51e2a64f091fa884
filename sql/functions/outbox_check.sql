-- What speaks against a value before it is sent: what DHIS2 would refuse, store elsewhere, or let others suffer for.

-- Why a text is no value of a type, by the rules that both engines have; null: DHIS2 stores it as it stands. What an
-- engine would take and spell otherwise (1 for true, 3.0 for 3) is none: it would not compare equal when read back.
-- Types that are not named here are left to DHIS2, which refuses a bad value alone.
create or replace function outbox.value_objection(value text, value_type text, option_codes text[])
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

-- The org units that lie outside those of the account. Older servers bind a superuser to its own as well.
create or replace function outbox.outside_unit(to_target text)
returns table (org_unit_id text) language sql stable as $$
  select u.org_unit_id
  from lookup.account a
  join lookup.org_unit u on not string_to_array(u.path, '/') && a.org_unit_ids
  where a.target = to_target and not ('ALL' = any (a.authorities) and outbox.has_group_import(to_target))
$$;

-- What speaks against each value that waits, was held back or refused, as DHIS2's metadata have it; null: nothing. The codes are
-- those of 2.43, in its order, for both engines: what 2.41 would store in the wrong place blocks a whole request there.
-- A deletion is judged like a value, but for its content. One cell cannot stand twice: it is the ledger's key.
create or replace function outbox.objection(to_target text, of_data_set text, of_period text, is_period_open boolean,
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
  ), outside as (                       -- of the account's own places; before they were ever read, none is
    select u.org_unit_id from outbox.outside_unit(to_target) u
  )
  select c.ctid, c.state, c.code,
    case
      when is_beyond and (c.code = 'beyond_open_periods' or c.wanted_at = now()) then 'beyond_open_periods'
      when f.org_unit_id is not null then 'E8011'
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
  left join outside f on f.org_unit_id = c.org_unit_id
  left join lookup.data_set_org_unit a on a.data_set_id = of_data_set and a.org_unit_id = c.org_unit_id
  left join lookup.lock_exception x
    on x.data_set_id = of_data_set and x.period = of_period and x.org_unit_id = c.org_unit_id
  left join combo cc on cc.category_option_combo_id = c.category_option_combo_id
  left join combo ac on ac.category_option_combo_id = c.attribute_option_combo_id
  where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
    and (c.state = 'pending' or c.state = 'withheld' or c.state = 'refused')
$$;

-- Withhold what something speaks against, and release what nothing speaks against any more. Only what changes is written.
-- What DHIS2 refused is judged by the same rules, so that it heals like what we withheld; where nothing speaks against it,
-- outbox.refused_value says whether it is tried again.
-- `is_beyond`: the period lies before those that late data may still change, and was reported before: what changed in
-- this transaction, and what was withheld for that before, is withheld.
create or replace function outbox.check_values(to_target text, of_data_set text, of_period text, is_period_open boolean,
  is_beyond boolean, by_run text)
returns void language plpgsql set work_mem = '128MB' set enable_nestloop = off set jit = off as $$  -- statistics may lag
begin
  update outbox.value v
  set state = case when o.objection is null then 'pending' else 'withheld' end, code = o.objection,
    settled_at = case when o.objection is not null then now() end, reason = null, run_id = by_run
  from outbox.objection(to_target, of_data_set, of_period, is_period_open, is_beyond) o
  where v.ctid = o.place and v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
    and (v.state = 'pending' or v.state = 'withheld' or (v.state = 'refused' and o.objection is not null))
    and (o.code is distinct from o.objection or (o.state = 'withheld') <> (o.objection is not null));
end $$;

-- Of a data set and period: the values withheld for the account's places, and how many of its org units are assigned, and
-- lie below the account's.
create or replace function outbox.count_own_units(to_target text, of_data_set text, of_period text)
returns table (withheld_count bigint, assigned_count bigint, own_count bigint)
language sql stable as $$
  select (
    select count(*) from outbox.value v
    where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period and v.state = 'withheld'
      and v.code = 'E8011'
  ), count(*), count(*) filter (where f.org_unit_id is null)
  from lookup.data_set_org_unit a
  left join outbox.outside_unit(to_target) f using (org_unit_id)
  where a.data_set_id = of_data_set
$$;
