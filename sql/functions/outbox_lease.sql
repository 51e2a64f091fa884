-- The lease of a DHIS2 server, and requests whose answer never came or is not proven yet.

-- Take the lease of a server for a run, and give its fence: whoever holds an older one may write no more.
create or replace function outbox.take_lease(of_target text, by_run text)
returns bigint language sql as $$
  insert into outbox.lease as l (target, fence, run_id) values (of_target, 1, by_run)
  on conflict (target) do update set fence = l.fence + 1, run_id = by_run, taken_at = now()
  returning fence
$$;

-- Keep what a batch without an answer would write: DHIS2 may store it until its life ends, and is read again after that.
create or replace function outbox.keep_late_writes(of_batch bigint, life interval)
returns void language plpgsql as $$
begin
  insert into outbox.late_write (batch_id, value_id, value)
  select of_batch, v.value_id, v.wanted from outbox.value v where v.batch_id = of_batch and v.state = 'sending'
  on conflict do nothing;
  update outbox.batch set alive_until = created_at + life, read_again_at = now() + life where batch_id = of_batch;
end $$;

-- The seconds until no unanswered request can overwrite what is to be sent now: those that carry another value for a cell
-- that is pending here. 0: none does.
create or replace function outbox.seconds_to_wait(of_target text, of_data_set text, of_period text)
returns double precision language sql stable as $$
  select coalesce(extract(epoch from max(b.alive_until) - clock_timestamp()), 0)::double precision
  from outbox.batch b
  join outbox.late_write w using (batch_id)
  join outbox.value o on o.value_id = w.value_id
  join outbox.value v on v.target = o.target and v.period = o.period and v.org_unit_id = o.org_unit_id
    and v.data_element_id = o.data_element_id and v.category_option_combo_id = o.category_option_combo_id
    and v.attribute_option_combo_id = o.attribute_option_combo_id
  where b.target = of_target and b.period = of_period and b.alive_until > clock_timestamp()
    and v.target = of_target and v.data_set_id = of_data_set and v.period = of_period and v.state = 'pending'
    and v.wanted is distinct from w.value
$$;

-- The data sets and periods of which something is not proven: an answer that was not read back, or a request without an
-- answer whose life has ended by then.
create or replace function outbox.unproven_slice(of_target text, by_then timestamptz)
returns table (data_set_id text, period text) language sql stable as $$
  select b.data_set_id, b.period from outbox.batch b
  where b.target = of_target and b.state = 'settled' and b.proven_at is null
  union
  select b.data_set_id, b.period from outbox.batch b join outbox.late_write w using (batch_id)
  where b.target = of_target and b.read_again_at <= by_then
$$;

-- The values of a data set and period that are to be held against what DHIS2 holds. `late_values`: what requests without
-- an answer would have written.
create or replace function outbox.unproven_value(of_target text, of_data_set text, of_period text, by_then timestamptz)
returns table (value_id bigint, data_element_id text, org_unit_id text, category_option_combo_id text,
  attribute_option_combo_id text, wanted text, acknowledged text, state text, is_reported boolean, late_values text[])
language sql stable as $$
  with late as (
    select w.value_id, array_agg(w.value) as late_values
    from outbox.batch b join outbox.late_write w using (batch_id)
    where b.target = of_target and b.data_set_id = of_data_set and b.period = of_period
      and b.read_again_at <= by_then
    group by w.value_id
  ), reported as (
    select v.value_id
    from outbox.batch b join outbox.value v using (batch_id)
    where b.target = of_target and b.data_set_id = of_data_set and b.period = of_period and b.state = 'settled'
      and b.proven_at is null and v.target = of_target and v.data_set_id = of_data_set and v.period = of_period
      and v.state in ('delivered', 'dropped', 'withdrawn', 'refused')
  )
  select v.value_id, v.data_element_id, v.org_unit_id, v.category_option_combo_id, v.attribute_option_combo_id, v.wanted,
    v.acknowledged, v.state, t.value_id is not null, coalesce(l.late_values, '{}')
  from late l full join reported t using (value_id) join outbox.value v using (value_id)
  where v.state <> 'sending'
$$;

-- Settle what was read back: `stored` is what DHIS2 holds of the values that are not as they were reported (null: nothing).
-- Where an answer was found untrue nothing that was refused with it is believed: it is sent again. Its own request may
-- still be on its way.
create or replace function outbox.settle_proof(of_target text, of_data_set text, of_period text, value_ids bigint[],
  stored text[], is_untrue boolean, life interval, by_then timestamptz, by_run text)
returns void language plpgsql as $$
begin
  if is_untrue then
    insert into outbox.late_write (batch_id, value_id, value)
    select b.batch_id, v.value_id, v.wanted
    from outbox.value v join outbox.batch b using (batch_id)
    where v.value_id = any (value_ids) and b.state = 'settled' and b.proven_at is null
    on conflict do nothing;
    update outbox.batch b set alive_until = b.created_at + life, read_again_at = now() + life
    from outbox.late_write w
    where w.batch_id = b.batch_id and w.value_id = any (value_ids) and b.proven_at is null;
  end if;

  update outbox.value v
  set acknowledged = r.stored, run_id = by_run, attempt = 0,
    state = case
      when v.wanted is distinct from r.stored then 'pending'
      when v.wanted is null then 'withdrawn'
      else 'delivered' end,
    code = case when v.wanted is distinct from r.stored then 'write_lost' end, reason = null,
    settled_at = case when v.wanted is not distinct from r.stored then now() end
  from unnest(value_ids, stored) r (value_id, stored)
  where v.value_id = r.value_id and v.state <> 'sending';

  if is_untrue then
    update outbox.value v set state = 'pending', code = null, reason = null, settled_at = null, attempt = 0, run_id = by_run
    from outbox.batch b
    where b.batch_id = v.batch_id and b.target = of_target and b.data_set_id = of_data_set and b.period = of_period
      and b.state = 'settled' and b.proven_at is null and v.state = 'refused';
  end if;

  delete from outbox.late_write w using outbox.batch b
  where b.batch_id = w.batch_id and b.target = of_target and b.data_set_id = of_data_set and b.period = of_period
    and b.read_again_at <= by_then;
  update outbox.batch set proven_at = now()
  where target = of_target and data_set_id = of_data_set and period = of_period and state = 'settled'
    and proven_at is null;
end $$;
