-- One request: which values it takes, its body, and the verdicts that it brought.

-- Take the next values to send into a batch, sorted as DHIS2 likes them and passing over so many of those that would come
-- first; deletions go apart. Null: nothing is pending.
-- The batch is committed by the caller before the request leaves, so that a crash leaves a trace to settle.
create or replace function outbox.cut_batch(to_target text, of_data_set text, of_period text, at_most integer, passed_over integer,
  by_run text, by_fence bigint)
returns bigint language plpgsql as $$
declare
  is_delete boolean;
  cut bigint;
begin
  select v.wanted is null into is_delete from outbox.value v
  where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period and v.state = 'pending'
  order by v.wanted is null limit 1;
  if not found then return null; end if;

  insert into outbox.batch (target, data_set_id, period, import_strategy, value_count, run_id, fence)
  values (to_target, of_data_set, of_period, case when is_delete then 'DELETE' else 'CREATE_AND_UPDATE' end, 0, by_run,
    by_fence)
  returning batch_id into cut;

  with next as (
    select v.ctid as place, row_number() over (order by v.data_element_id, v.org_unit_id,
      v.category_option_combo_id, v.attribute_option_combo_id) - 1 - passed_over as row_index
    from outbox.value v
    where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period and v.state = 'pending'
      and (v.wanted is null) = is_delete
    order by v.data_element_id, v.org_unit_id, v.category_option_combo_id, v.attribute_option_combo_id
    limit at_most offset passed_over
  ), taken as (
    update outbox.value v
    set state = 'sending', batch_id = cut, row_index = next.row_index, attempt = v.attempt + 1, settled_at = null,
      run_id = by_run
    from next where v.ctid = next.place
    returning 1
  )
  update outbox.batch set value_count = (select count(*) from taken) where batch_id = cut;
  return cut;
end $$;

-- The request body of a batch: a dataValueSet of one data set, every key explicit, every value a string. Ids and wanted
-- values need no escaping: ids are letters and digits, and the table takes no value that would. A deletion is escaped: its
-- value may be what somebody else typed.
create or replace function outbox.payload(of_batch bigint)
returns text language sql stable set work_mem = '128MB' as $$
  select '{"dataSet":"' || b.data_set_id || '","dataValues":[' || string_agg('{"dataElement":"' || v.data_element_id
    || '","period":"' || v.period || '","orgUnit":"' || v.org_unit_id
    || '","categoryOptionCombo":"' || v.category_option_combo_id
    || '","attributeOptionCombo":"' || v.attribute_option_combo_id || '","value":' || v.value || '}', ',') || ']}'
  from outbox.batch b, (
    select data_element_id, period, org_unit_id, category_option_combo_id, attribute_option_combo_id,
      coalesce('"' || wanted || '"', to_json(acknowledged)::text) as value
    from outbox.value
    where batch_id = of_batch and state = 'sending'
    order by row_index
  ) v
  where b.batch_id = of_batch
  group by b.batch_id
$$;

-- Write the verdicts of a batch and close it. `verdicts`: an array of {row_index, verdict, code, reason}.
-- stored, unchanged, deleted: DHIS2 has it so; dropped: it keeps no such zero; blocked, lost: to be sent again.
-- A request that DHIS2 itself did not answer (status null) is no attempt: an outage says nothing of a value.
-- The run that settles signs for it, which may be a later one than the run that sent.
create or replace function outbox.settle(of_batch bigint, verdicts jsonb, status integer, message text, is_proven boolean,
  by_run text)
returns void language sql as $$
  update outbox.value v
  set state = case
      when r.verdict in ('stored', 'unchanged', 'deleted') then
        case when v.wanted is null then 'withdrawn' else 'delivered' end
      when r.verdict = 'dropped' then 'dropped'
      when r.verdict = 'refused' then 'refused'
      else 'pending' end,
    acknowledged = case
      when r.verdict in ('stored', 'unchanged', 'deleted', 'dropped') then v.wanted else v.acknowledged end,
    code = outbox.unified_code(r.code), run_id = by_run,
    reason = coalesce(r.reason, nullif(r.code, outbox.unified_code(r.code))),  -- what this engine called it
    attempt = v.attempt - case when v.attempt > 0 and status is null and r.verdict in ('blocked', 'lost')
      then 1 else 0 end,
    settled_at = case when r.verdict in ('blocked', 'lost') then null else now() end
  from jsonb_to_recordset(verdicts) r (row_index integer, verdict text, code text, reason text)
  where v.batch_id = of_batch and v.state = 'sending' and v.row_index = r.row_index;

  update outbox.batch set state = 'settled', settled_at = now(), http_status = status, note = message,
    proven_at = case when is_proven then now() end
  where batch_id = of_batch;
$$;

-- The values of a batch in the order of its payload.
create or replace function outbox.sent_row(of_batch bigint)
returns table (row_index integer, data_element_id text, org_unit_id text, category_option_combo_id text,
  attribute_option_combo_id text, wanted text, acknowledged text, attempt integer,
  value_type text, aggregation_type text, zero_is_significant boolean)
language sql stable as $$
  select v.row_index, v.data_element_id, v.org_unit_id, v.category_option_combo_id, v.attribute_option_combo_id,
    v.wanted, v.acknowledged, v.attempt, e.value_type, e.aggregation_type, e.zero_is_significant
  from outbox.value v left join lookup.data_element e using (data_element_id)
  where v.batch_id = of_batch and v.state = 'sending'
  order by v.row_index
$$;

-- How many values the next requests may carry: those to store first, deletions after them.
create or replace function outbox.count_next(to_target text, of_data_set text, of_period text)
returns bigint language sql stable as $$
  select coalesce(nullif(count(*) filter (where wanted is not null), 0), count(*))
  from outbox.value
  where target = to_target and data_set_id = of_data_set and period = of_period and state = 'pending'
$$;

-- Put back to pending what some requests refused, when it has shown that their values are not to blame.
create or replace function outbox.restore_pending(of_batches bigint[], by_run text)
returns void language sql as $$
  update outbox.value set state = 'pending', settled_at = null, reason = null, run_id = by_run
  where batch_id = any (of_batches) and state = 'refused'
$$;

-- Write on each pending value why it waits, and return how many there are; the next plan takes the code away again.
create or replace function outbox.hold_pending(to_target text, of_data_set text, of_period text, of_code text, by_run text)
returns bigint language sql as $$
  with held as (
    update outbox.value set code = of_code, reason = null, run_id = by_run
    where target = to_target and data_set_id = of_data_set and period = of_period and state = 'pending'
    returning 1
  )
  select count(*) from held
$$;
