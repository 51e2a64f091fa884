-- What is decided before anything is sent: what should be in DHIS2, what differs from the ledger, what DHIS2 would refuse.

create table lookup.category_option (   -- the options of every combo that the data sets use
  category_option_id text primary key, code text,
  start_on date, end_on date,           -- null: open
  can_write boolean,                    -- by this account; null: not known
  org_unit_ids text[]                   -- null: in every org unit
);

-- Why a text is no value of a type, as DHIS2's own rules have it on both engines; null: it is one. The ledger's values
-- come from numbers, and its table takes no control character.
create function outbox.value_objection(value text, value_type text, option_codes text[])
returns text language sql immutable parallel safe as $$
  select case
    when value is null then null
    when btrim(value) = '' then 'E8120'
    when option_codes is not null and not value = any (option_codes) then 'E8123'
    when value_type in ('TEXT', 'LONG_TEXT') then case when length(value) > 50000 then 'E8121' end
    when value_type = 'TRUE_ONLY' then case when value not in ('1', 'true') then 'E8122' end
    when value_type = 'BOOLEAN' then case when value not in ('0', '1', 'false', 'true') then 'E8122' end
    when value_type not in ('NUMBER', 'PERCENTAGE', 'UNIT_INTERVAL', 'INTEGER', 'INTEGER_POSITIVE', 'INTEGER_NEGATIVE',
      'INTEGER_ZERO_OR_POSITIVE') then 'E8122'
    when length(value) >= 250 or value !~ '^-?(0|[1-9]\d*)(\.\d+)?$' then 'E8122'
    when value_type like 'INTEGER%' and (value !~ '^(0|-?[1-9]\d*)$'
      or value::numeric not between -2147483648 and 2147483647) then 'E8122'
    when value_type = 'INTEGER_POSITIVE' and value::numeric <= 0 then 'E8122'
    when value_type = 'INTEGER_ZERO_OR_POSITIVE' and value::numeric < 0 then 'E8122'
    when value_type = 'INTEGER_NEGATIVE' and value::numeric >= 0 then 'E8122'
    when value_type = 'PERCENTAGE' and value::numeric not between 0 and 100 then 'E8122'
    when value_type = 'UNIT_INTERVAL' and value::numeric not between 0 and 1 then 'E8122'
  end
$$;

-- Why an attribute option combo must not be used for an org unit and a period; null: it may.
create function outbox.option_objection(option_ids text[], org_unit_path text, from_on date, to_on date)
returns text language sql stable as $$
  select case
    when bool_or(o.can_write is false) then 'E8012'
    when bool_or(o.org_unit_ids is not null and not o.org_unit_ids && string_to_array(org_unit_path, '/')) then 'E8025'
    when bool_or(to_on < coalesce(o.start_on, to_on) or from_on > coalesce(o.end_on, from_on)) then 'E8032'
  end
  from lookup.category_option o where o.category_option_id = any (option_ids)
$$;

-- Judge what waits to be sent, and what was held back before: what DHIS2 would refuse, store in the wrong place, or
-- block others for is withheld with DHIS2's own code. One cell cannot stand twice: it is the ledger's key.
-- `is_beyond`: the period lies before the data set's open periods and was reported before; what changed just now in it,
-- and what was held back for that, stays held back. No nested loops: what was just planned is in no statistics yet.
create function outbox.check_values(to_target text, of_data_set text, of_period text, is_period_open boolean,
  is_beyond boolean, by_run text)
returns void language plpgsql set enable_nestloop = off as $$
begin
  update outbox.value v
  set state = case when o.objection is null then 'pending' else 'withheld' end, code = o.objection,
    settled_at = case when o.objection is not null then now() end, reason = null, run_id = by_run
  from (
    select c.ctid as place, case
      when s.data_element_id is null then 'E8020'
      when u.org_unit_id is null then 'E8107'
      when a.org_unit_id is null then 'E8022'
      when p.period is null then 'E8021'
      when ac.category_combo_id is distinct from ds.category_combo_id then 'E8023'
      when cc.category_combo_id is distinct from s.category_combo_id then 'E8024'
      when p.start_on < u.opening_on or p.start_on > u.closed_on then 'E8031'
      when not is_period_open then 'E8030'
      when is_beyond and (c.code = 'beyond_open_periods' or c.wanted_at = now()) then 'beyond_open_periods'
      else coalesce(
        case when not ak.is_default then outbox.option_objection(ac.option_ids, u.path, p.start_on, p.end_on) end,
        outbox.value_objection(c.wanted, e.value_type, e.option_codes))
      end as objection
    from outbox.value c
    join lookup.data_set ds using (data_set_id)
    left join lookup.period p on p.period_type = ds.period_type and p.period = c.period
    left join lookup.data_set_element s using (data_set_id, data_element_id)
    left join lookup.data_element e using (data_element_id)
    left join lookup.org_unit u using (org_unit_id)
    left join lookup.data_set_org_unit a using (data_set_id, org_unit_id)
    left join lookup.category_option_combo cc using (category_option_combo_id)
    left join lookup.category_option_combo ac on ac.category_option_combo_id = c.attribute_option_combo_id
    left join lookup.category_combo ak on ak.category_combo_id = ac.category_combo_id
    where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
      and c.state in ('pending', 'withheld')
  ) o
  where v.ctid = o.place and (v.code is distinct from o.objection or (v.state = 'withheld') <> (o.objection is not null));
end $$;

-- The cells whose wanted value differs from what the indicators say now. A delivered value that is counted no longer
-- is not wanted any more, or is wanted to be zero, as the data set's policy says.
create function outbox.difference(to_target text, of_data_set text, of_period text, zeros text, vanished text)
returns table (value_id bigint, org_unit_id text, data_element_id text, category_option_combo_id text,
  attribute_option_combo_id text, wanted text)
language plpgsql stable set enable_nestloop = off as $$
#variable_conflict use_column
begin
  return query
  select c.value_id, c.org_unit_id, c.data_element_id, c.category_option_combo_id, c.attribute_option_combo_id, c.wanted
  from (
    select v.value_id, org_unit_id, data_element_id, category_option_combo_id, attribute_option_combo_id,
      case
        when d.value is not null then d.value
        when vanished = 'zero' and v.acknowledged is not null then '0'
      end as wanted,
      v.wanted as was
    from outbox.desired(of_data_set, of_period, zeros) d
    full join (
      select l.value_id, l.org_unit_id, l.data_element_id, l.category_option_combo_id, l.attribute_option_combo_id,
        l.wanted, l.acknowledged
      from outbox.value l where l.target = to_target and l.data_set_id = of_data_set and l.period = of_period
    ) v using (org_unit_id, data_element_id, category_option_combo_id, attribute_option_combo_id)
  ) c
  where c.wanted is distinct from c.was;
end $$;

-- Bring the ledger of one data set and period up to what the indicators say now; returns how many values stand in which
-- state. What was delivered and is wanted unchanged is not touched.
drop function outbox.plan(text, text, text, text, boolean, text);
create function outbox.plan(to_target text, of_data_set text, of_period text, zeros text, vanished text,
  is_period_open boolean, is_beyond_open boolean, by_run text)
returns table (state text, value_count bigint)
language plpgsql as $$
declare
  was_reported boolean;
begin
  if exists (select from outbox.batch b where b.target = to_target and b.state = 'sending') then
    raise exception 'a request to % has no verdict yet: settle it before planning', to_target;
  end if;
  create temporary table difference on commit drop as
    select * from outbox.difference(to_target, of_data_set, of_period, zeros, vanished);
  analyze difference;

  update outbox.value v
  set wanted = d.wanted, wanted_at = now(), run_id = by_run, attempt = 0, code = null, reason = null, batch_id = null,
    row_index = null,
    state = case
      when v.acknowledged is distinct from d.wanted then 'pending'
      when d.wanted is null then 'withdrawn'
      else 'delivered' end,
    settled_at = case when v.acknowledged is not distinct from d.wanted then now() end
  from difference d where v.value_id = d.value_id;

  insert into outbox.value (target, data_set_id, period, org_unit_id, data_element_id, category_option_combo_id,
    attribute_option_combo_id, wanted, state, run_id)
  select to_target, of_data_set, of_period, d.org_unit_id, d.data_element_id, d.category_option_combo_id,
    d.attribute_option_combo_id, d.wanted, 'pending', by_run
  from difference d where d.value_id is null;
  drop table difference;

  was_reported := exists (
    select from outbox.delivery r
    where r.target = to_target and r.data_set_id = of_data_set and r.period = of_period and r.run_id <> by_run);
  perform outbox.check_values(to_target, of_data_set, of_period, is_period_open, is_beyond_open and was_reported, by_run);

  return query
  select v.state, count(*) from outbox.value v
  where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
  group by v.state;
end $$;
drop function outbox.objection(text, text, boolean, boolean, boolean, boolean, boolean);

-- Periods once reported whose totals now differ from the ledger: late data.
drop function outbox.changed_periods(text, text, text, date);
create function outbox.changed_periods(of_target text, of_data_set_code text, zeros text, vanished text)
returns table (period text, value_count bigint, digest text)
language plpgsql stable as $$
begin
  return query
  select reported.period, count(*),
    md5(string_agg(concat_ws(',', c.org_unit_id, c.data_element_id, c.category_option_combo_id,
      c.attribute_option_combo_id, c.wanted), ';' order by c.org_unit_id, c.data_element_id,
      c.category_option_combo_id, c.attribute_option_combo_id))
  from (
    select distinct v.period, v.data_set_id from outbox.value v
    join lookup.data_set s using (data_set_id)
    where v.target = of_target and s.code = of_data_set_code
  ) reported
  cross join lateral outbox.difference(of_target, reported.data_set_id, reported.period, zeros, vanished) c
  group by reported.period;
end $$;
