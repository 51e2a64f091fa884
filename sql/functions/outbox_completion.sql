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

-- Bring completions up to the values: what is complete is wanted, and what is complete no longer is unwanted where
-- completions are kept in step. A closed period is not completed; what was refused waits until something changes.
create or replace function outbox.plan_completion(to_target text, of_data_set text, of_period text, is_in_step boolean,
  is_period_open boolean, by_run text)
returns void language plpgsql as $$
begin
  create temporary table unit_now on commit drop as
  select r.org_unit_id, r.attribute_option_combo_id, r.is_complete,
    md5(concat_ws('|', r.settled, is_period_open, d, u, a.org_unit_id is not null)) as basis
  from outbox.reporting_unit r
  left join lookup.data_set d using (data_set_id)
  left join lookup.org_unit u using (org_unit_id)
  left join lookup.data_set_org_unit a using (data_set_id, org_unit_id)
  where r.target = to_target and r.data_set_id = of_data_set and r.period = of_period;
  alter table unit_now add primary key (org_unit_id, attribute_option_combo_id);  -- statistics may lag behind both
  analyze unit_now;

  delete from outbox.completion c
  using unit_now n
  where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
    and (n.org_unit_id, n.attribute_option_combo_id) = (c.org_unit_id, c.attribute_option_combo_id)
    and not n.is_complete and not c.is_ours and c.state in ('wanted', 'refused');

  update outbox.completion c
  set state = s.state, code = null, reason = null, basis = s.basis, attempt = 0, run_id = by_run,
    wanted_at = now(), settled_at = null
  from (
    select c.ctid as place, n.basis,
      case
        when n.is_complete and c.state in ('wanted', 'unwanted', 'taken_back') then 'wanted'
        when n.is_complete and c.state = 'refused' and (c.is_ours or c.basis <> n.basis) then 'wanted'
        when not n.is_complete and c.is_ours and c.state in ('wanted', 'unwanted') then 'unwanted'
        when not n.is_complete and c.is_ours and is_in_step
          and (c.state = 'registered' or (c.state = 'refused' and c.basis <> n.basis)) then 'unwanted'
      end as state
    from outbox.completion c join unit_now n using (org_unit_id, attribute_option_combo_id)
    where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
  ) s
  where c.ctid = s.place and s.state is not null and (c.state, c.basis) <> (s.state, s.basis);

  insert into outbox.completion (target, data_set_id, period, org_unit_id, attribute_option_combo_id, state, basis,
    run_id)
  select to_target, of_data_set, of_period, n.org_unit_id, n.attribute_option_combo_id, 'wanted', n.basis, by_run
  from unit_now n
  where n.is_complete
  on conflict do nothing;

  if not is_period_open then
    update outbox.completion c
    set state = 'refused', code = 'E8030', settled_at = now(), run_id = by_run
    where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
      and c.state = 'wanted' and not c.is_ours;
  end if;
  drop table unit_now;
end $$;

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
    and c.state in ('wanted', 'unwanted')
  order by c.org_unit_id, c.attribute_option_combo_id
$$;

-- Note that DHIS2 is about to be asked; the caller commits, so that a crash leaves a trace.
create or replace function outbox.begin_completion(to_target text, of_data_set text, of_period text, by_run text)
returns void language sql as $$
  update outbox.completion set is_ours = true, attempt = attempt + 1, run_id = by_run
  where target = to_target and data_set_id = of_data_set and period = of_period and state in ('wanted', 'unwanted')
$$;

-- Write what became of some units. `verdicts`: a temporary table (org_unit_id, attribute_option_combo_id, state,
-- is_ours, code, reason) made by the caller.
create or replace function outbox.settle_completion(to_target text, of_data_set text, of_period text, by_run text)
returns void language plpgsql as $$
begin
  update outbox.completion c
  set state = v.state, is_ours = v.is_ours, code = v.code, reason = v.reason, run_id = by_run,
    settled_at = case when v.state not in ('wanted', 'unwanted') then now() end
  from verdicts v
  where c.target = to_target and c.data_set_id = of_data_set and c.period = of_period
    and (v.org_unit_id, v.attribute_option_combo_id) = (c.org_unit_id, c.attribute_option_combo_id);
end $$;

-- Put refused completions back to where they are asked again, once a person has mended the cause.
create or replace function outbox.requeue_completion(of_target text, of_data_set_code text, of_period text, by_run text)
returns bigint language sql as $$
  with mended as (
    update outbox.completion set basis = '', run_id = by_run
    where target = of_target and state = 'refused' and period = coalesce(of_period, period)
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
        and c.state <> 'taken_back')
  group by 2
  order by 1, 2, 3
$$;
