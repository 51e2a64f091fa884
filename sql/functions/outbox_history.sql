-- Every change of every value is kept by triggers.

-- No nested loops: the plan is kept from a first statement of few rows, and a later one may have a million.
create or replace function outbox.keep_history()
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

create or replace trigger keep_history_of_new after insert on outbox.value
referencing new table as changed_to for each statement execute function outbox.keep_history();

create or replace trigger keep_history after update on outbox.value
referencing old table as changed_from new table as changed_to for each statement execute function outbox.keep_history();
