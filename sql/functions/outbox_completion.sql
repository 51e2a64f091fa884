-- Which units are complete, and what DHIS2 is to be told of them.

-- How far the values of each unit are. `is_expected`: something should be there at all. A deletion that waits or that
-- DHIS2 does not allow keeps no unit from being complete: what is wanted is there.
create or replace view outbox.reporting_unit as
select
  target,
  data_set_id,
  period,
  org_unit_id,
  attribute_option_combo_id,
  bool_and(state in ('delivered', 'dropped') or wanted is null)
    and bool_or(state in ('delivered', 'dropped')) as is_complete,
  bool_or(wanted is not null) as is_expected,
  min(code) filter (where state in ('refused', 'withheld') and wanted is not null) as code,
  extract(epoch from max(settled_at)) as settled
from outbox.value
group by target, data_set_id, period, org_unit_id, attribute_option_combo_id;

-- The compulsory fields of a data set that DHIS2 lacks, of units whose values are all delivered; as DHIS2 counts them: what
-- the account may not write is not asked of it, and a zero that DHIS2 dropped is no value. `filled`: what else stands there,
-- read from DHIS2: an array of {org_unit_id, attribute_option_combo_id, data_element_id, category_option_combo_id}.
create or replace function outbox.compulsory_gap(to_target text, of_data_set text, of_period text, filled jsonb)
returns table (org_unit_id text, attribute_option_combo_id text, data_element_id text, category_option_combo_id text)
language sql stable as $$
  with compulsory as materialized (
    select o.data_element_id, o.category_option_combo_id
    from lookup.compulsory_operand o
    where o.data_set_id = of_data_set and not exists (
      select from lookup.category_option_combo c
      join lookup.category_option p on p.category_option_id = any (c.option_ids) and p.can_write is false
      where c.category_option_combo_id = o.category_option_combo_id)
  ), filled_in as materialized (
    select v.org_unit_id, v.attribute_option_combo_id, v.data_element_id, v.category_option_combo_id
    from outbox.value v
    where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
      and v.acknowledged is not null and v.state <> 'dropped'
      and v.data_element_id in (select c.data_element_id from compulsory c)
    union all
    select f.* from jsonb_to_recordset(filled) f (org_unit_id text, attribute_option_combo_id text, data_element_id text,
      category_option_combo_id text)
  )
  select r.org_unit_id, r.attribute_option_combo_id, c.data_element_id, c.category_option_combo_id
  from compulsory c
  join outbox.reporting_unit r on r.target = to_target and r.data_set_id = of_data_set and r.period = of_period
    and r.is_complete
  where not exists (
    select from filled_in t
    where t.org_unit_id = r.org_unit_id and t.attribute_option_combo_id = r.attribute_option_combo_id
      and t.data_element_id = c.data_element_id
      and t.category_option_combo_id = coalesce(c.category_option_combo_id, t.category_option_combo_id))
$$;

-- Values that DHIS2 confirmed and reconcile did not find there, and that nothing has put right since.
create or replace view outbox.missing_value as
select
  d.target,
  d.data_set_id,
  d.period,
  d.org_unit_id,
  d.attribute_option_combo_id,
  d.data_element_id
from outbox.discrepancy d
inner join outbox.value v using (target, data_set_id, period, data_element_id, org_unit_id, category_option_combo_id,
  attribute_option_combo_id)
where d.resolved_at is null and d.kind = 'missing_in_dhis2' and v.wanted is not null;

-- What DHIS2 lacks of units whose values were all delivered: one row a unit, with the first elements by their names.
create or replace function outbox.completion_lack(to_target text, of_data_set text, of_period text, filled jsonb)
returns table (org_unit_id text, attribute_option_combo_id text, code text, reason text)
language sql stable as $$
  select distinct on (l.org_unit_id, l.attribute_option_combo_id)
    l.org_unit_id, l.attribute_option_combo_id, l.code, l.names || case when l.name_count > 3 then ', ...' else '' end
  from (
    select a.org_unit_id, a.attribute_option_combo_id, a.code,
      array_to_string((array_agg(distinct coalesce(e.name, a.data_element_id)))[1:3], ', ') as names,
      count(distinct a.data_element_id) as name_count
    from (
      select m.org_unit_id, m.attribute_option_combo_id, m.data_element_id, 'value_missing' as code
      from outbox.missing_value m
      where m.target = to_target and m.data_set_id = of_data_set and m.period = of_period
      union all
      select g.org_unit_id, g.attribute_option_combo_id, g.data_element_id, 'E7605'
      from outbox.compulsory_gap(to_target, of_data_set, of_period, filled) g
    ) a
    left join lookup.data_element e using (data_element_id)
    group by 1, 2, 3
  ) l
  order by l.org_unit_id, l.attribute_option_combo_id, l.code desc
$$;

-- How far each unit is by its values and by what DHIS2 lacks. `basis`: what a refusal would rest on.
create or replace function outbox.judged_unit(to_target text, of_data_set text, of_period text, is_period_open boolean,
  filled jsonb)
returns table (org_unit_id text, attribute_option_combo_id text, is_delivered boolean, is_complete boolean, code text,
  reason text, basis text)
language sql stable as $$
  select r.org_unit_id, r.attribute_option_combo_id, r.is_complete, r.is_complete and l.code is null, l.code, l.reason,
    md5(concat_ws('|', r.settled, is_period_open, d, u, a.org_unit_id is not null, l.code, l.reason))
  from outbox.reporting_unit r
  left join outbox.completion_lack(to_target, of_data_set, of_period, filled) l
    using (org_unit_id, attribute_option_combo_id)
  left join lookup.data_set d using (data_set_id)
  left join lookup.org_unit u using (org_unit_id)
  left join lookup.data_set_org_unit a using (data_set_id, org_unit_id)
  where r.target = to_target and r.data_set_id = of_data_set and r.period = of_period
$$;

-- Bring completions up to the values: what is complete is wanted, and what is complete no longer is to be deleted where
-- completions are kept in step. A unit of which DHIS2 lacks a value is withheld, and judged afresh each time. A closed
-- period is not completed; what was refused waits until something changes. `filled`: as in compulsory_gap.
create or replace function outbox.plan_completion(to_target text, of_data_set text, of_period text, is_mirrored boolean,
  is_period_open boolean, filled jsonb, by_run text)
returns void language sql set enable_nestloop = off as $$  -- statistics may lag
  with unit as materialized (
    select j.* from outbox.judged_unit(to_target, of_data_set, of_period, is_period_open, filled) j
  ), forgotten as (
    delete from outbox.completion c
    using unit n
    where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
      and n.org_unit_id = c.org_unit_id and n.attribute_option_combo_id = c.attribute_option_combo_id
      and not n.is_delivered and not c.is_ours and c.state in ('wanted', 'refused', 'withheld')
  ), next as (
    select n.org_unit_id, n.attribute_option_combo_id, n.basis,
      outbox.next_completion(o.state, o.is_ours, n.is_complete, n.is_delivered, o.basis <> n.basis, is_mirrored) as state,
      case when n.is_delivered then n.code end as code, case when n.is_delivered then n.reason end as reason
    from outbox.completion o
    join unit n using (org_unit_id, attribute_option_combo_id)
    where o.target = to_target and o.data_set_id = of_data_set and o.period = of_period
  ), moved as (
    update outbox.completion c
    set state = s.state, code = case when s.state <> 'wanted' then s.code end,
      reason = case when s.state <> 'wanted' then s.reason end, basis = s.basis, attempt = 0, run_id = by_run,
      wanted_at = now(), settled_at = case s.state when 'withheld' then now() end
    from next s
    where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
      and s.org_unit_id = c.org_unit_id and s.attribute_option_combo_id = c.attribute_option_combo_id
      and s.state is not null and (c.state, c.basis) <> (s.state, s.basis)
  )
  insert into outbox.completion (target, data_set_id, period, org_unit_id, attribute_option_combo_id, state, code,
    reason, basis, run_id, settled_at)
  select to_target, of_data_set, of_period, n.org_unit_id, n.attribute_option_combo_id,
    case when n.is_complete then 'wanted' else 'withheld' end, n.code, n.reason, n.basis, by_run,
    case when not n.is_complete then now() end
  from unit n
  where n.is_delivered
  on conflict do nothing;

  update outbox.completion c
  set state = 'refused', code = 'E8030', settled_at = now(), run_id = by_run
  where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
    and c.state = 'wanted' and not c.is_ours and not is_period_open;
$$;

-- Where a completion goes from where it stands; null: it stays. `is_ours`: a registration of ours may stand in DHIS2.
create or replace function outbox.next_completion(state text, is_ours boolean, is_complete boolean, is_delivered boolean,
  is_changed boolean, is_mirrored boolean)
returns text language sql immutable parallel safe as $$
  select case
    when is_complete and state in ('wanted', 'to_delete', 'deleted', 'withheld') then 'wanted'
    when is_complete and state = 'refused' and (is_ours or is_changed) then 'wanted'
    when is_complete then null
    when is_ours and state in ('wanted', 'to_delete') then 'to_delete'
    when is_ours and is_mirrored and (state = 'registered' or (state = 'refused' and is_changed)) then 'to_delete'
    when is_delivered and not is_ours and state in ('wanted', 'refused', 'deleted', 'withheld') then 'withheld'
  end
$$;

-- The units that DHIS2 is to be asked about, sorted; the category combo and its options where they are not the default.
create or replace function outbox.due_completion(to_target text, of_data_set text, of_period text)
returns table (org_unit_id text, attribute_option_combo_id text, is_wanted boolean, is_ours boolean,
  category_combo_id text, category_option_ids text[])
language sql stable as $$
  select c.org_unit_id, c.attribute_option_combo_id, c.state = 'wanted', c.is_ours, m.category_combo_id,
    case when m.category_combo_id is not null then o.option_ids end
  from outbox.completion c
  left join lookup.category_option_combo o on o.category_option_combo_id = c.attribute_option_combo_id
  left join lookup.category_combo m on m.category_combo_id = o.category_combo_id and not m.is_default
  where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
    and c.state in ('wanted', 'to_delete')
  order by c.org_unit_id, c.attribute_option_combo_id
$$;

-- Note that DHIS2 is about to be asked; the caller commits, so that a crash leaves a trace.
create or replace function outbox.begin_completion(to_target text, of_data_set text, of_period text, by_run text)
returns void language sql as $$
  update outbox.completion set is_ours = true, attempt = attempt + 1, run_id = by_run
  where target = to_target and data_set_id = of_data_set and period = of_period and state in ('wanted', 'to_delete')
$$;

-- Write what became of some units; one that was deleted for what DHIS2 lacks is withheld. `verdicts`: an array of
-- {org_unit_id, attribute_option_combo_id, state, is_ours, code, reason}.
create or replace function outbox.settle_completion(to_target text, of_data_set text, of_period text, verdicts jsonb,
  by_run text)
returns void language sql as $$
  update outbox.completion c
  set state = case when v.state = 'deleted' and c.code is not null then 'withheld' else v.state end,
    is_ours = v.is_ours, run_id = by_run,
    code = case when v.state in ('deleted', 'to_delete') then coalesce(c.code, v.code) else v.code end,
    reason = case when v.state in ('deleted', 'to_delete') then coalesce(c.reason, v.reason) else v.reason end,
    settled_at = case when v.state not in ('wanted', 'to_delete') then now() end
  from jsonb_to_recordset(verdicts) v (org_unit_id text, attribute_option_combo_id text, state text, is_ours boolean,
    code text, reason text)
  where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
    and v.org_unit_id = c.org_unit_id and v.attribute_option_combo_id = c.attribute_option_combo_id
$$;

-- Put refused completions back to where they are asked again, once a person has mended the cause; the next report asks.
create or replace function outbox.requeue_completion(of_target text, of_data_set_code text, of_period text, of_code text,
  by_run text)
returns bigint language sql as $$
  with mended as (
    update outbox.completion set basis = '', run_id = by_run
    where target = of_target and state = 'refused' and period = coalesce(of_period, period)
      and code = coalesce(of_code, code)
      and (of_data_set_code is null
        or data_set_id in (select s.data_set_id from lookup.data_set s where s.code = of_data_set_code))
    returning 1
  )
  select count(*) from mended
$$;

-- Where a data set and period stands, in units; `waiting`: values are not all there, with what keeps them away.
create or replace function outbox.completion_status(of_target text, of_data_set text, of_period text)
returns table (state text, code text, reason text, unit_count bigint)
language sql stable as $$
  select c.state, c.code, c.reason, count(*)
  from outbox.completion c
  where c.target = of_target and c.data_set_id = of_data_set and c.period = of_period
  group by 1, 2, 3
  union all
  select 'waiting', r.code, null, count(*)
  from outbox.reporting_unit r
  where r.target = of_target and r.data_set_id = of_data_set and r.period = of_period
    and r.is_expected and not r.is_complete
    and not exists (
      select from outbox.completion c
      where c.target = r.target and c.data_set_id = r.data_set_id and c.period = r.period
        and c.org_unit_id = r.org_unit_id and c.attribute_option_combo_id = r.attribute_option_combo_id
        and c.state <> 'deleted')
  group by 2
  order by 1, 2, 3
$$;

-- The same for the data sets (code or id) and periods that a person asks for, of those that are told to be complete at all.
create or replace function outbox.completion_standing(of_target text, of_data_set text, of_period text)
returns table (data_set text, period text, state text, code text, reason text, unit_count bigint)
language sql stable as $$
  select coalesce(s.code, k.data_set_id), k.period, c.state, c.code, c.reason, c.unit_count
  from (
    select distinct o.data_set_id, o.period from outbox.completion o
    where o.target = of_target and o.period = coalesce(of_period, o.period)
  ) k
  left join lookup.data_set s using (data_set_id)
  cross join lateral outbox.completion_status(of_target, k.data_set_id, k.period) c
  where of_data_set is null or of_data_set in (s.code, k.data_set_id)
  order by 1, 2, 3, 4, 5
$$;

-- Periods that a report must look at for their completions alone: DHIS2 did not answer when it was asked, a person put a
-- refusal back, reconcile found a value missing or found it again, or a compulsory field may have been filled since.
create or replace function outbox.unsettled_completion(of_target text, of_data_set_code text, open_from date,
  is_mirrored boolean)
returns table (period text) language sql stable as $$
  select distinct c.period
  from outbox.completion c
  left join (
    select distinct target, data_set_id, period, org_unit_id, attribute_option_combo_id, true as is_missing
    from outbox.missing_value
  ) m using (target, data_set_id, period, org_unit_id, attribute_option_combo_id)
  join lookup.data_set s using (data_set_id)
  join lookup.period p on p.period_type = s.period_type and p.period = c.period and p.start_on >= open_from
  where c.target = of_target and s.code = of_data_set_code
    and case c.state
      when 'refused' then c.basis = ''
      when 'registered' then is_mirrored and c.is_ours and m.is_missing is true
      when 'withheld' then c.code = 'E7605' or m.is_missing is null
      else c.state in ('wanted', 'to_delete')
    end
$$;
