-- Refusals that heal: when a value that DHIS2 refused is tried again.

-- The one word for a cause: that of 2.43, whichever engine found it.
create or replace function outbox.unified_code(code text)
returns text language sql immutable parallel safe as $$
  select case
    when code not like 'E76%' then code
    when code = 'E7600' then 'E8005'
    when code = 'E7601' then 'E8010'
    when code in ('E7603', 'E7612') then 'E8107'
    when code in ('E7610', 'E7632', 'E7633') then 'E8020'
    when code in ('E7613', 'E7614', 'E7615', 'E7616') then 'E8012'
    when code = 'E7617' then 'E8011'
    when code = 'E7618' then 'E8120'
    when code = 'E7619' then 'E8122'
    when code = 'E7620' then 'E8125'
    when code = 'E7621' then 'E8123'
    when code = 'E7634' then 'E8024'
    when code = 'E7635' then 'E8023'
    when code = 'E7636' then 'E8022'
    when code = 'E7638' then 'E8032'
    when code = 'E7639' then 'E8025'
    when code in ('E7640', 'E7641', 'E7643', 'E7644') then 'E8030'
    when code = 'E7642' then 'E8033'
    else code
  end
$$;

-- A digest of all that we know and that could matter to a refusal: the server's version, the account, the data set with
-- its elements, units and combos, and for whom the period is open. When it changes, it is worth trying again.
create or replace function outbox.basis(to_target text, of_data_set text, of_period text)
returns text language sql stable as $$
  select md5(concat_ws('|',
    (select s.version from lookup.server s where s.target = to_target),
    (select (a.user_id, a.authorities, a.org_unit_ids)::text from lookup.account a where a.target = to_target),
    (select s.digest from lookup.data_set_state s where s.data_set_id = of_data_set),
    (select (d.period_type, d.category_combo_id, d.open_future_periods, d.expiry_days, d.has_input_periods, d.can_write,
      d.open_periods_after_co_end_date)::text from lookup.data_set d where d.data_set_id = of_data_set),
    (select string_agg((s.data_element_id, s.category_combo_id, e.value_type, e.option_codes)::text, ';'
      order by s.data_element_id)
      from lookup.data_set_element s left join lookup.data_element e using (data_element_id)
      where s.data_set_id = of_data_set),
    (select string_agg((a.org_unit_id, u.path, u.opening_on, u.closed_on)::text, ';' order by a.org_unit_id)
      from lookup.data_set_org_unit a left join lookup.org_unit u using (org_unit_id)
      where a.data_set_id = of_data_set),
    (select string_agg((o.category_option_id, o.start_on, o.end_on, o.can_write, o.org_unit_ids)::text, ';'
      order by o.category_option_id) from lookup.category_option o),
    (select string_agg((c.category_option_combo_id, c.category_combo_id, c.option_ids)::text, ';'
      order by c.category_option_combo_id) from lookup.category_option_combo c),
    (select string_agg(x.org_unit_id, ';' order by x.org_unit_id) from lookup.lock_exception x
      where x.data_set_id = of_data_set and x.period = of_period)))
$$;

-- The refused values of a data set and period, and whether each is to be tried again. When something changed since: once,
-- those at once of which our metadata show the cause (`judged`), the others not on the day when they were tried last. When
-- nothing did: what may pass unseen (`passing`), once a day, `most_tries` times, while late data may change the period.
create or replace function outbox.refused_value(to_target text, of_data_set text, of_period text, today date,
  is_beyond boolean, judged text[], passing text[], most_tries integer)
returns table (value_id bigint, code text, reason text, basis text, tried_on date, try_count integer, is_due boolean)
language sql stable as $$
  select f.value_id, f.code, f.reason, f.basis, f.tried_on, f.try_count,
    case
      when f.basis <> b.basis then f.tried_on < today or outbox.unified_code(f.code) = any (judged)
      else f.tried_on < today and f.try_count < most_tries and not is_beyond
        and outbox.unified_code(coalesce(f.code, 'unexplained_rejection')) = any (passing)
    end
  from (
    select v.value_id, v.code, v.reason, coalesce(r.basis, p.basis, '') as basis,
      coalesce(r.tried_on, p.planned_on, '-infinity') as tried_on, coalesce(r.try_count, 0) as try_count
    from outbox.value v
    left join outbox.refusal r using (value_id)
    left join outbox.plan_basis p on p.target = to_target and p.data_set_id = of_data_set and p.period = of_period
    where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period and v.state = 'refused'
  ) f
  cross join (select outbox.basis(to_target, of_data_set, of_period) as basis) b
$$;

-- Keep what each refusal rests on and whether it is due, and what this plan rests on. After the values are planned.
create or replace function outbox.plan_refusals(to_target text, of_data_set text, of_period text, today date,
  is_beyond boolean, judged text[], passing text[], most_tries integer)
returns void language sql as $$
  delete from outbox.refusal r
  using outbox.value v
  where v.value_id = r.value_id and v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
    and v.state not in ('refused', 'sending');

  insert into outbox.refusal (value_id, code, reason, basis, tried_on, try_count, is_due)
  select f.value_id, f.code, f.reason, f.basis, f.tried_on, f.try_count, f.is_due
  from outbox.refused_value(to_target, of_data_set, of_period, today, is_beyond, judged, passing, most_tries) f
  on conflict (value_id) do update
  set code = excluded.code, reason = excluded.reason, is_due = excluded.is_due;

  insert into outbox.plan_basis (target, data_set_id, period, basis, planned_on)
  values (to_target, of_data_set, of_period, outbox.basis(to_target, of_data_set, of_period), today)
  on conflict (target, data_set_id, period) do update
  set basis = excluded.basis, planned_on = excluded.planned_on;
$$;

-- Put back to pending what is due and was not tried for the longest time; gives how many values.
create or replace function outbox.release_refused(to_target text, of_data_set text, of_period text, by_run text)
returns bigint language sql as $$
  with due as (
    select r.value_id, rank() over (order by r.tried_on) as turn
    from outbox.refusal r join outbox.value v using (value_id)
    where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period and v.state = 'refused'
      and r.is_due
  ), released as (
    update outbox.refusal r set is_released = true, is_due = false
    from due d where d.value_id = r.value_id and d.turn = 1
    returning r.value_id
  ), pending as (
    update outbox.value v
    set state = 'pending', attempt = 0, code = null, reason = null, settled_at = null, run_id = by_run
    from released r where r.value_id = v.value_id
    returning 1
  )
  select count(*) from pending
$$;

-- End the trying: keep of what was refused once more that it was tried, and put back what had no turn, with its code.
create or replace function outbox.end_release(to_target text, of_data_set text, of_period text, by_run text)
returns void language sql as $$
  update outbox.refusal r
  set is_released = false, basis = p.basis, tried_on = p.planned_on,
    try_count = case when r.basis = p.basis then r.try_count + 1 else 0 end
  from outbox.value v join outbox.plan_basis p using (target, data_set_id, period)
  where r.is_released and v.value_id = r.value_id and v.state = 'refused'
    and v.target = to_target and v.data_set_id = of_data_set and v.period = of_period;

  with untried as (
    update outbox.refusal r set is_released = false, is_due = true
    from outbox.value v
    where r.is_released and v.value_id = r.value_id and v.state = 'pending'
      and v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
    returning r.value_id, r.code, r.reason
  )
  update outbox.value v
  set state = 'refused', code = u.code, reason = u.reason, settled_at = now(), run_id = by_run
  from untried u where u.value_id = v.value_id;
$$;

-- Put refused values back to pending, once a person has mended the cause; the next report checks and sends them. A code
-- of the older engine and our word for it are the same.
create or replace function outbox.requeue(of_target text, of_data_set_code text, of_period text, of_code text, by_run text)
returns bigint language sql as $$
  with mended as (
    update outbox.value set state = 'pending', attempt = 0, settled_at = null, run_id = by_run
    where target = of_target and state = 'refused'
      and (of_data_set_code is null
        or data_set_id in (select s.data_set_id from lookup.data_set s where s.code = of_data_set_code))
      and period = coalesce(of_period, period)
      and (of_code is null or outbox.unified_code(code) = outbox.unified_code(of_code))
    returning value_id
  ), forgotten as (
    delete from outbox.refusal r using mended m where m.value_id = r.value_id
  )
  select count(*) from mended
$$;
