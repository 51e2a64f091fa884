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

-- How many values the next requests may carry: those to store first, deletions after them.
create function outbox.count_next(to_target text, of_data_set text, of_period text)
returns bigint language sql stable as $$
  select coalesce(nullif(count(*) filter (where wanted is not null), 0), count(*))
  from outbox.value
  where target = to_target and data_set_id = of_data_set and period = of_period and state = 'pending'
$$;

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
