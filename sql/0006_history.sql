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

create index value_dropped on outbox.value (target, data_set_id, period, data_element_id) where state = 'dropped';

-- Whether a server has the engine of 2.43, as its metadata were last read.
create function outbox.has_group_import(of_target text)
returns boolean language sql stable as $$
  select coalesce(max((regexp_match(version, '^2\.(\d+)'))[1]::integer) >= 43, false)
  from lookup.server where target = of_target
$$;

-- Whether a server keeps the zeros of an element: the truth table of docs/zeros.md.
create function outbox.keeps_zero(value_type text, aggregation_type text, is_significant boolean, has_group_import boolean)
returns boolean language sql immutable parallel safe as $$
  select has_group_import or is_significant or value_type !~ '^(INTEGER|NUMBER$|PERCENTAGE$|UNIT_INTERVAL$)'
    or aggregation_type in ('AVERAGE', 'AVERAGE_SUM_ORG_UNIT')
$$;

-- Zeros that DHIS2 dropped by rule go once more where it would keep them now: after an upgrade to 2.43, or when their
-- element has been given another type or zeros that count.
create function outbox.offer_dropped(to_target text, of_data_set text, of_period text, by_run text)
returns void language sql as $$
  update outbox.value set state = 'pending', acknowledged = null, attempt = 0, settled_at = null, run_id = by_run
  where target = to_target and data_set_id = of_data_set and period = of_period and state = 'dropped'
    and data_element_id = any (array(
      select e.data_element_id from lookup.data_element e
      where outbox.keeps_zero(e.value_type, e.aggregation_type, e.zero_is_significant,
        (select outbox.has_group_import(to_target)))))
$$;

-- The data sets that have a ledger at this target, but for one: a step over the key for each, not a read of all rows.
create function outbox.other_data_sets(to_target text, of_data_set text)
returns text[] language sql stable as $$
  with recursive found (data_set_id) as (
    select min(v.data_set_id) from outbox.value v where v.target = to_target
    union all
    select (select min(v.data_set_id) from outbox.value v where v.target = to_target and v.data_set_id > f.data_set_id)
    from found f where f.data_set_id is not null
  )
  select coalesce(array_agg(f.data_set_id), '{}') from found f where f.data_set_id <> of_data_set
$$;

-- A cell of DHIS2 knows no data set: what another one wants there is not deleted by the one that wants it no more. It
-- hands over what DHIS2 holds, and is withdrawn without a request.
create function outbox.hand_over(to_target text, of_data_set text, of_period text, by_run text)
returns void language plpgsql as $$
declare
  others text[] := outbox.other_data_sets(to_target, of_data_set);
begin
  if others = '{}' then return; end if;
  with given as materialized (
    select v.value_id, v.acknowledged, o.value_id as heir_id
    from outbox.value v
    join outbox.value o on o.target = v.target and o.data_set_id = any (others) and o.period = v.period
      and o.data_element_id = v.data_element_id and o.org_unit_id = v.org_unit_id
      and o.category_option_combo_id = v.category_option_combo_id
      and o.attribute_option_combo_id = v.attribute_option_combo_id
    where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
      and (v.state = 'pending' or v.state = 'withheld') and v.wanted is null and o.wanted is not null
  ), heir as (
    update outbox.value o set acknowledged = g.acknowledged, run_id = by_run
    from given g where o.value_id = g.heir_id and o.acknowledged is null
  )
  update outbox.value v
  set state = 'withdrawn', acknowledged = null, code = null, reason = null, settled_at = now(), run_id = by_run
  from given g where v.value_id = g.value_id;
end $$;

alter table outbox.delivery add column waiting bigint not null default 0;  -- until the submission hours begin again
