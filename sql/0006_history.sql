-- outbox.history: every change of every value of the ledger, who made it, when, from what to what.

alter table outbox.value add column value_id bigint generated always as identity;
create unique index on outbox.value (value_id);

-- An import that DHIS2 runs as a job of its own: its id is kept, so that the next run can ask what became of it.
alter table outbox.batch add column job_id text;

create table outbox.history (
  value_id bigint not null,             -- outbox.value.value_id
  changed_at timestamptz not null default clock_timestamp(),
  run_id text not null,                 -- who: the Dagster run, or the command that a person gave
  state_from text, state_to text not null,
  wanted_from text, wanted_to text,
  acknowledged_from text, acknowledged_to text,
  code text, attempt integer not null, batch_id bigint
);
create index on outbox.history (value_id);

-- No nested loops: the plan is kept from a first statement of few rows, and a later one may have a million.
create function outbox.keep_history()
returns trigger language plpgsql set enable_nestloop = off as $$
begin
  if tg_op = 'INSERT' then
    insert into outbox.history (value_id, run_id, state_to, wanted_to, acknowledged_to, code, attempt, batch_id)
    select n.value_id, n.run_id, n.state, n.wanted, n.acknowledged, n.code, n.attempt, n.batch_id from changed_to n;
  else
    insert into outbox.history (value_id, run_id, state_from, state_to, wanted_from, wanted_to, acknowledged_from,
      acknowledged_to, code, attempt, batch_id)
    select n.value_id, n.run_id, o.state, n.state, o.wanted, n.wanted, o.acknowledged, n.acknowledged, n.code,
      n.attempt, n.batch_id
    from changed_from o join changed_to n using (value_id)
    where (o.state, o.wanted, o.acknowledged, o.code) is distinct from (n.state, n.wanted, n.acknowledged, n.code);
  end if;
  return null;
end $$;

create trigger keep_history_of_new after insert on outbox.value
referencing new table as changed_to for each statement execute function outbox.keep_history();

create trigger keep_history after update on outbox.value
referencing old table as changed_from new table as changed_to for each statement execute function outbox.keep_history();

-- As before, and the run that settles signs for it, which may be a later one than the run that sent.
drop function outbox.settle(bigint, integer, text);
create function outbox.settle(of_batch bigint, status integer, said text, by_run text)
returns void language plpgsql as $$
begin
  update outbox.value v
  set state = case
      when r.verdict in ('stored', 'unchanged', 'deleted') then
        case when v.wanted is null then 'withdrawn' else 'delivered' end
      when r.verdict = 'dropped' then 'dropped'
      when r.verdict = 'refused' then 'refused'
      else 'pending' end,
    acknowledged = case
      when r.verdict in ('stored', 'unchanged', 'deleted', 'dropped') then v.wanted else v.acknowledged end,
    code = r.code, reason = r.reason, run_id = by_run,
    settled_at = case when r.verdict in ('blocked', 'lost') then null else now() end
  from verdicts r
  where v.batch_id = of_batch and v.state = 'sending' and v.row_index = r.row_index;
  update outbox.batch set state = 'settled', settled_at = now(), http_status = status, note = said
  where batch_id = of_batch;
end $$;

-- Put refused values back to pending, once a person has mended the cause; the next report checks and sends them.
drop function outbox.requeue(text, text, text);
create function outbox.requeue(of_target text, of_data_set_code text, of_period text, of_code text, by_run text)
returns bigint language sql as $$
  with mended as (
    update outbox.value set state = 'pending', attempt = 0, settled_at = null, run_id = by_run
    where target = of_target and state = 'refused'
      and (of_data_set_code is null
        or data_set_id in (select s.data_set_id from lookup.data_set s where s.code = of_data_set_code))
      and period = coalesce(of_period, period) and code = coalesce(of_code, code)
    returning 1
  )
  select count(*) from mended
$$;

-- How many values the next requests may carry: those to store first, deletions after them.
create function outbox.count_next(to_target text, of_data_set text, of_period text)
returns bigint language sql stable as $$
  select coalesce(nullif(count(*) filter (where wanted is not null), 0), count(*))
  from outbox.value
  where target = to_target and data_set_id = of_data_set and period = of_period and state = 'pending'
$$;

-- As before, and passing over so many of the values that would come first.
drop function outbox.cut_batch(text, text, text, integer, text);
create function outbox.cut_batch(to_target text, of_data_set text, of_period text, at_most integer, passed_over integer,
  by_run text)
returns bigint language plpgsql as $$
declare
  is_delete boolean;
  cut bigint;
begin
  select v.wanted is null into is_delete from outbox.value v
  where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period and v.state = 'pending'
  order by v.wanted is null limit 1;
  if not found then return null; end if;

  insert into outbox.batch (target, data_set_id, period, import_strategy, value_count, run_id)
  values (to_target, of_data_set, of_period, case when is_delete then 'DELETE' else 'CREATE_AND_UPDATE' end, 0, by_run)
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

-- Take back the refusals of some requests, when it has shown that their values are not to blame.
create function outbox.acquit(of_batches bigint[], by_run text)
returns void language sql as $$
  update outbox.value set state = 'pending', settled_at = null, reason = null, run_id = by_run
  where batch_id = any (of_batches) and state = 'refused'
$$;

-- Zeros that DHIS2 before 2.43 dropped by rule: a newer server stores them, so after an upgrade they go once more.
create function outbox.offer_dropped(to_target text, of_data_set text, of_period text, by_run text)
returns void language sql as $$
  update outbox.value set state = 'pending', acknowledged = null, attempt = 0, settled_at = null, run_id = by_run
  where target = to_target and data_set_id = of_data_set and period = of_period and state = 'dropped'
$$;

alter table outbox.delivery add column waiting bigint not null default 0;  -- until the submission hours begin again
