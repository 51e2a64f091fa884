-- What DHIS2 holds, held against the ledger.

-- The first discrepancies of a data set and period that stand, kind by kind, by the names that people know.
create or replace function outbox.open_discrepancy(of_target text, of_data_set text, of_period text, at_most integer)
returns table (kind text, period text, org_unit text, data_element text, combo text, wanted text, acknowledged text,
  stored text, found_at timestamptz)
language sql stable as $$
  select d.kind, d.period, d.org_unit, d.data_element, d.combo, d.wanted, d.acknowledged, d.stored, d.found_at
  from outbox.named_discrepancy d
  where d.target = of_target and d.data_set_id = of_data_set and d.period = of_period and d.resolved_at is null
  order by d.kind, d.org_unit, d.data_element, d.combo, d.discrepancy_id
  limit at_most
$$;

-- The org units of a data set and period that can be read back: assigned or in the ledger, and below a root of the
-- account. `roots` null: the account may read them all.
create or replace function outbox.comparable_unit(to_target text, of_data_set text, of_period text, assigned text[],
  roots text[])
returns table (org_unit_id text) language sql stable as $$
  select u.org_unit_id from lookup.org_unit u
  where (roots is null or string_to_array(u.path, '/') && roots)
    and u.org_unit_id in (
      select unnest(assigned)
      union
      select v.org_unit_id from outbox.value v
      where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period)
  order by 1
$$;

-- How many values of the ledger can be compared, and how many not: their unit or element is out of sight.
create or replace function outbox.count_comparable(to_target text, of_data_set text, of_period text, units text[],
  elements text[])
returns table (compared_count bigint, unread_count bigint) language sql stable as $$
  select count(*) filter (where u is not null and e is not null), count(*) filter (where u is null or e is null)
  from outbox.value v
  left join unnest(units) u on u = v.org_unit_id
  left join unnest(elements) e on e = v.data_element_id
  where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
$$;

-- Whether DHIS2 would call two values the same: numbers by what they are worth, so that 5.0 is 5.
create or replace function outbox.is_same(one text, other text, value_type text)
returns boolean language sql immutable parallel safe as $$
  select case
    when one is null or other is null or one = other then one is not distinct from other
    when value_type ~ '^(INTEGER|NUMBER|PERCENTAGE|UNIT_INTERVAL)' and one ~ '^-?[0-9]+(\.[0-9]+)?$'
      and other ~ '^-?[0-9]+(\.[0-9]+)?$' then one::numeric = other::numeric
    else false
  end
$$;

-- Whether the last verdict on a value was that DHIS2 dropped its zero: then nothing there is as it should be.
create or replace function outbox.was_dropped(of_value bigint)
returns boolean language sql stable as $$
  select coalesce((
    select h.state_to = 'dropped' from outbox.history h
    where h.value_id = of_value and (h.acknowledged_to is distinct from h.acknowledged_from
      or (h.state_from = 'sending' and h.state_to in ('delivered', 'dropped', 'withdrawn')))
    order by h.changed_at desc limit 1), false)
$$;

-- Whether a request of ours may have put just this value there: DHIS2 confirmed it once, or it was sent.
create or replace function outbox.was_sent(of_value bigint, value text)
returns boolean language sql stable as $$
  select exists (
    select from outbox.history h where h.value_id = of_value
      and value in (h.acknowledged_to, case when h.state_to = 'sending' then h.wanted_to end))
$$;

-- Whether DHIS2 ever confirmed any value of a cell.
create or replace function outbox.was_acknowledged(of_value bigint)
returns boolean language sql stable as $$
  select exists (select from outbox.history h where h.value_id = of_value and h.acknowledged_to is not null)
$$;

-- Whether another data set wants a value in a cell: a cell of DHIS2 knows no data set.
create or replace function outbox.is_wanted_by(others text[], to_target text, of_period text, element text, unit text,
  category_option_combo text, attribute_option_combo text)
returns boolean language sql stable as $$
  select exists (
    select from outbox.value o
    where o.target = to_target and o.data_set_id = any (others) and o.period = of_period
      and o.data_element_id = element and o.org_unit_id = unit and o.category_option_combo_id = category_option_combo
      and o.attribute_option_combo_id = attribute_option_combo and o.wanted is not null)
$$;

-- What a value may be that we never sent there: under the default combo of a disaggregated element, or in a cell that an
-- indicator may have; null: neither, so that it is no business of ours.
create or replace function outbox.foreign_kind(to_target text, of_data_set text, element text, category_option_combo text,
  attribute_option_combo text, is_disaggregated boolean)
returns text language sql stable as $$
  select case
    when is_disaggregated and exists (
      select from lookup.server s join lookup.target o on o.data_set_id = of_data_set
      where s.target = to_target and category_option_combo = s.default_category_option_combo_id
        and o.data_element_id = element
        and attribute_option_combo in (o.attribute_option_combo_id, s.default_category_option_combo_id)
    ) then 'default_combo'
    when exists (
      select from lookup.target o
      where o.data_set_id = of_data_set and o.data_element_id = element
        and o.category_option_combo_id = category_option_combo
        and o.attribute_option_combo_id = attribute_option_combo
    ) then 'unknown_value'
  end
$$;

-- The values that DHIS2 holds, as the caller read them: an array of {data_element, org_unit, category_option_combo,
-- attribute_option_combo, value, is_deleted}. A row that has only a comment has the value '' or none.
create or replace function outbox.stored_value(stored_values jsonb)
returns table (data_element_id text, org_unit_id text, category_option_combo_id text, attribute_option_combo_id text,
  value text, is_deleted boolean)
language sql immutable parallel safe rows 10000 as $$
  select s.* from jsonb_to_recordset(stored_values) s (data_element text, org_unit text, category_option_combo text,
    attribute_option_combo text, value text, is_deleted boolean)
$$;

-- The cells that the ledger or DHIS2 has in these units and elements, and how their values compare. `stored`: what DHIS2
-- holds; null: nothing.
create or replace function outbox.compared_cell(to_target text, of_data_set text, of_period text, units text[],
  elements text[], stored_values jsonb)
returns table (data_element_id text, org_unit_id text, category_option_combo_id text, attribute_option_combo_id text,
  value_id bigint, state text, wanted text, acknowledged text, stored text, is_deleted boolean,
  is_as_acknowledged boolean, is_as_wanted boolean, is_zero_acknowledged boolean, is_disaggregated boolean)
language sql stable as $$
  with element as (
    select e.data_element_id, d.value_type, not c.is_default as is_disaggregated
    from unnest(elements) e (data_element_id)
    left join lookup.data_element d using (data_element_id)
    left join lookup.data_set_element s on s.data_set_id = of_data_set and s.data_element_id = e.data_element_id
    left join lookup.category_combo c on c.category_combo_id = s.category_combo_id
  ), planned as (
    select v.* from outbox.value v
    join unnest(units) u (org_unit_id) using (org_unit_id)
    where v.target = to_target and v.data_set_id = of_data_set and v.period = of_period
  ), held as (
    select t.data_element_id, t.org_unit_id, t.category_option_combo_id, t.attribute_option_combo_id, t.is_deleted,
      case when not t.is_deleted then nullif(t.value, '') end as value
    from outbox.stored_value(stored_values) t
  )
  select data_element_id, org_unit_id, category_option_combo_id, attribute_option_combo_id, v.value_id, v.state,
    v.wanted, v.acknowledged, t.value, coalesce(t.is_deleted, false), outbox.is_same(v.acknowledged, t.value, e.value_type),
    outbox.is_same(v.wanted, t.value, e.value_type), outbox.is_same(v.acknowledged, '0', e.value_type), e.is_disaggregated
  from planned v
  full join held t using (data_element_id, org_unit_id, category_option_combo_id, attribute_option_combo_id)
  join element e using (data_element_id)
$$;

-- Each cell of which DHIS2 holds something else than the ledger says, with the kind of discrepancy; null: as it should be.
create or replace function outbox.judged_cell(to_target text, of_data_set text, of_period text, units text[],
  elements text[], stored_values jsonb)
returns table (data_element_id text, org_unit_id text, category_option_combo_id text, attribute_option_combo_id text,
  value_id bigint, state text, wanted text, acknowledged text, stored text, is_deleted boolean, kind text)
language sql stable as $$
  select c.data_element_id, c.org_unit_id, c.category_option_combo_id, c.attribute_option_combo_id, c.value_id, c.state,
    c.wanted, c.acknowledged, c.stored, c.is_deleted, case
      when c.wanted is null and outbox.is_wanted_by(o.others, to_target, of_period, c.data_element_id, c.org_unit_id,
        c.category_option_combo_id, c.attribute_option_combo_id) then null
      when c.is_as_acknowledged then
        case when c.wanted is null and c.stored is not null and c.state in ('refused', 'withheld') then 'stale_value' end
      when c.stored is null and c.is_zero_acknowledged and (c.state = 'dropped' or outbox.was_dropped(c.value_id))
        then null
      when c.is_as_wanted then 'ledger_outdated'
      when c.stored is null then 'missing_in_dhis2'
      when c.acknowledged is not null then 'foreign_edit'
      when outbox.was_sent(c.value_id, c.stored)
        then case when c.wanted is null then 'stale_value' else 'foreign_edit' end
      when outbox.was_acknowledged(c.value_id)  -- typed into a cell that we left
        then case when c.wanted is null then 'unknown_value' else 'foreign_edit' end
      else outbox.foreign_kind(to_target, of_data_set, c.data_element_id, c.category_option_combo_id,
        c.attribute_option_combo_id, c.is_disaggregated)
    end
  from outbox.compared_cell(to_target, of_data_set, of_period, units, elements, stored_values) c
  cross join (select outbox.other_data_sets(to_target, of_data_set) as others) o
  where c.stored is not null or c.acknowledged is not null
$$;

-- What the policy does about a discrepancy; null: it stands. `external_edits`: report changes nothing but
-- outbox.discrepancy; overwrite puts values back to pending, but for those refused or withheld, which cannot be sent;
-- accept takes what people changed or deleted there for acknowledged, so that a value goes again when what is wanted
-- changes, and still shows what was lost without a trace. Both settle what the ledger did not know, and neither touches
-- what we never sent, nor what people typed where we had withdrawn ours.
create or replace function outbox.resolution(external_edits text, kind text, value_id bigint, state text, is_deleted boolean)
returns text language sql immutable parallel safe as $$
  select case
    when external_edits = 'report' or value_id is null then null
    when kind = 'ledger_outdated' then 'settled'
    when kind in ('default_combo', 'unknown_value') then null
    when external_edits = 'accept' then
      case when kind = 'foreign_edit' or (kind = 'missing_in_dhis2' and is_deleted) then 'accepted' end
    when state not in ('refused', 'withheld') then 'overwritten'
  end
$$;

-- The discrepancies of a data set and period, but for the unknown values that a person has accepted just as they are.
create or replace function outbox.find_discrepancies(to_target text, of_data_set text, of_period text, units text[],
  elements text[], stored_values jsonb, external_edits text)
returns setof outbox.finding language sql stable set enable_nestloop = off as $$  -- statistics may lag
  select j.data_element_id, j.org_unit_id, j.category_option_combo_id, j.attribute_option_combo_id, j.value_id, j.wanted,
    j.acknowledged, j.stored, j.is_deleted, j.kind,
    outbox.resolution(external_edits, j.kind, j.value_id, j.state, j.is_deleted)
  from outbox.judged_cell(to_target, of_data_set, of_period, units, elements, stored_values) j
  where j.kind is not null and (j.kind <> 'unknown_value' or not exists (
    select from outbox.discrepancy a
    where a.target = to_target and a.data_set_id = of_data_set and a.period = of_period and a.kind = 'unknown_value'
      and a.resolution = 'accepted' and a.stored = j.stored and a.data_element_id = j.data_element_id
      and a.org_unit_id = j.org_unit_id and a.category_option_combo_id = j.category_option_combo_id
      and a.attribute_option_combo_id = j.attribute_option_combo_id))
$$;

-- Write what was found into outbox.discrepancy, and close what is no longer true among what was compared; an element that
-- left the data set is nothing to agree on. What is found again keeps its found_at. No nested loops: what has just been
-- found is in no statistics yet.
create or replace function outbox.keep_discrepancies(to_target text, of_data_set text, of_period text, units text[],
  elements text[], findings outbox.finding[], by_run text)
returns void language sql set enable_nestloop = off as $$
  update outbox.discrepancy d set resolved_at = now(), resolution = 'gone', run_id = by_run
  where d.target = to_target and d.data_set_id = of_data_set and d.period = of_period and d.resolved_at is null
    and (d.org_unit_id = any (units) or d.data_element_id <> all (elements))
    and not exists (
      select from unnest(findings) f
      where f.data_element_id = d.data_element_id and f.org_unit_id = d.org_unit_id
        and f.category_option_combo_id = d.category_option_combo_id
        and f.attribute_option_combo_id = d.attribute_option_combo_id and f.kind = d.kind);

  insert into outbox.discrepancy as d (target, data_set_id, period, org_unit_id, data_element_id,
    category_option_combo_id, attribute_option_combo_id, kind, wanted, acknowledged, stored, is_deleted, run_id)
  select to_target, of_data_set, of_period, f.org_unit_id, f.data_element_id, f.category_option_combo_id,
    f.attribute_option_combo_id, f.kind, f.wanted, f.acknowledged, f.stored, f.is_deleted, by_run
  from unnest(findings) f
  on conflict (target, data_set_id, period, data_element_id, org_unit_id, category_option_combo_id,
               attribute_option_combo_id) where resolved_at is null
  do update set wanted = excluded.wanted, acknowledged = excluded.acknowledged, stored = excluded.stored,
    is_deleted = excluded.is_deleted, run_id = excluded.run_id, seen_at = now();

  update outbox.discrepancy d set resolved_at = now(), resolution = f.resolution
  from unnest(findings) f
  where d.target = to_target and d.data_set_id = of_data_set and d.period = of_period and d.resolved_at is null
    and f.resolution is not null and f.data_element_id = d.data_element_id and f.org_unit_id = d.org_unit_id
    and f.category_option_combo_id = d.category_option_combo_id
    and f.attribute_option_combo_id = d.attribute_option_combo_id;
$$;

-- Bring the ledger to what DHIS2 holds, where something is done about a discrepancy.
create or replace function outbox.apply_resolutions(findings outbox.finding[], by_run text)
returns void language sql as $$
  update outbox.value v
  set acknowledged = f.stored, run_id = by_run,
    state = case
      when f.resolution = 'overwritten' then 'pending'
      when f.resolution = 'settled' then case when v.wanted is null then 'withdrawn' else 'delivered' end
      when v.state = 'dropped' then 'delivered'
      else v.state end,
    code = case
      when f.resolution <> 'accepted' then null
      when v.state in ('delivered', 'dropped', 'withdrawn') then 'foreign_edit'
      else v.code end,
    reason = case f.resolution when 'accepted' then v.reason end,
    attempt = case f.resolution when 'accepted' then v.attempt else 0 end,
    settled_at = case f.resolution when 'accepted' then v.settled_at when 'settled' then now() end
  from unnest(findings) f where v.value_id = f.value_id and f.resolution is not null
$$;

-- Hold the ledger of a data set and period to what DHIS2 holds, keep what differs, and act as the policy says.
-- `stored_values`: what DHIS2 holds in these units and elements, deleted values too (outbox.stored_value).
-- Returns what was found, with what was done about it (null: it stands), and what was found before and is gone.
create or replace function outbox.reconcile(to_target text, of_data_set text, of_period text, units text[],
  elements text[], stored_values jsonb, external_edits text, by_run text)
returns table (kind text, resolution text, value_count bigint)
language plpgsql as $$
declare
  findings outbox.finding[];
begin
  perform outbox.refuse_unsettled(to_target);
  findings := array(select f from outbox.find_discrepancies(to_target, of_data_set, of_period, units, elements,
    stored_values, external_edits) f);
  perform outbox.keep_discrepancies(to_target, of_data_set, of_period, units, elements, findings, by_run);
  perform outbox.apply_resolutions(findings, by_run);

  return query
  select f.kind, f.resolution, count(*) from unnest(findings) f group by 1, 2
  union all
  select d.kind, d.resolution, count(*) from outbox.discrepancy d
  where d.target = to_target and d.data_set_id = of_data_set and d.period = of_period and d.resolution = 'gone'
    and d.resolved_at = now()
  group by 1, 2;
end $$;

-- Close what a later request has put right: DHIS2 confirmed the value after it was last found otherwise there.
create or replace function outbox.close_discrepancies(of_target text, of_data_set text, of_period text, by_run text)
returns void language sql as $$
  update outbox.discrepancy d set resolved_at = now(), resolution = 'gone', run_id = by_run
  from outbox.value v join outbox.batch b using (batch_id)
  where d.target = of_target and d.data_set_id = of_data_set and d.period = of_period and d.resolved_at is null
    and v.target = d.target and v.data_set_id = d.data_set_id and v.period = d.period
    and v.data_element_id = d.data_element_id and v.org_unit_id = d.org_unit_id
    and v.category_option_combo_id = d.category_option_combo_id
    and v.attribute_option_combo_id = d.attribute_option_combo_id
    and v.state in ('delivered', 'dropped', 'withdrawn') and b.created_at > d.seen_at
$$;

-- Accept what others entered, as reconcile last listed it, in one org unit (id or code) or in all (null): by a person's
-- word. It is listed again once DHIS2 holds something else there.
create or replace function outbox.accept_unknown_values(of_target text, of_data_set text, of_period text, of_org_unit text,
  by_run text)
returns bigint language sql as $$
  with accepted as (
    update outbox.discrepancy d set resolved_at = now(), resolution = 'accepted', run_id = by_run
    where d.target = of_target and d.data_set_id = of_data_set and d.period = of_period and d.resolved_at is null
      and d.kind = 'unknown_value' and (of_org_unit is null or d.org_unit_id in (
        select of_org_unit union all select u.org_unit_id from lookup.org_unit u where u.code = of_org_unit))
    returning 1
  )
  select count(*) from accepted
$$;
