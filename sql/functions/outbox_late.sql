-- Late data: which periods of a data set must be reported again, or for the first time after all.

-- Periods that were never planned or reported, and have totals: those from a day on, that ended before another. Null: none.
-- Before the first build of the views there are no totals at all.
create or replace function outbox.unreported_periods(of_target text, of_data_set_code text, open_from date, ended_before date)
returns table (data_set_id text, period text)
language plpgsql stable as $$
#variable_conflict use_column
begin
  if to_regclass('indicator.value') is null then return; end if;
  return query
  select s.data_set_id, p.period
  from lookup.data_set s
  join lookup.period p on p.period_type = s.period_type and p.start_on >= open_from and p.end_on < ended_before
  where s.code = of_data_set_code
    and not exists (
      select from outbox.value v
      where v.target = of_target and v.data_set_id = s.data_set_id and v.period = p.period)
    and exists (
      select from lookup.target t
      join indicator.value i on i.indicator = t.indicator and i.measure = t.measure
        and i.disaggregation = t.disaggregation and i.period_type = t.period_type
      where t.data_set_id = s.data_set_id and i.period = p.period);
end $$;

-- Late data: periods of which a plan would change what is wanted. Looked at are those that were planned, those that were
-- reported when nothing was counted, and those that never were, as far as open_from and ended_before say.
-- `changed_at`: when a value of the period changed last in the ledger; null: it has none.
create or replace function outbox.changed_periods(of_target text, of_data_set_code text, zeros text, removed_totals text, open_from date,
  ended_before date)
returns table (period text, value_count bigint, digest text, changed_at timestamptz)
language sql stable as $$
  select known.period, count(*),
    md5(string_agg(concat_ws(',', c.org_unit_id, c.data_element_id, c.category_option_combo_id,
      c.attribute_option_combo_id, c.wanted), ';' order by c.org_unit_id, c.data_element_id,
      c.category_option_combo_id, c.attribute_option_combo_id)),
    (select max(h.changed_at) from outbox.value v join outbox.history h using (value_id)
      where v.target = of_target and v.data_set_id = known.data_set_id and v.period = known.period)
  from (
    select v.data_set_id, v.period from outbox.value v
    join lookup.data_set s using (data_set_id)
    where v.target = of_target and s.code = of_data_set_code
    union
    select r.data_set_id, r.period from outbox.delivery r
    join lookup.data_set s using (data_set_id)
    where r.target = of_target and s.code = of_data_set_code
    union
    select u.data_set_id, u.period
    from outbox.unreported_periods(of_target, of_data_set_code, open_from, ended_before) u
  ) known
  cross join lateral outbox.difference(of_target, known.data_set_id, known.period, zeros, removed_totals) c
  group by known.data_set_id, known.period
$$;

-- Periods of which values wait for a report though no total changed: those to be sent, those in a request without an
-- answer, and within the open periods those that were withheld for a cause that is gone and those refused that are to be
-- tried again (outbox.refused_value). Whether a period that DHIS2 has closed is open for a unit or for this account, DHIS2
-- alone can say: there, a report must ask. `completion`: the data set's policy; unless it is never, a period whose completions
-- wait is one too, though none of its values does.
create or replace function outbox.waiting_periods(of_target text, of_data_set_code text, open_from date, completion text,
  today date, judged text[], passing text[], most_tries integer)
returns table (period text, value_count bigint)
language sql stable as $$
  select w.period, sum(w.value_count)::bigint
  from (
    select v.period, count(*) as value_count from outbox.value v
    join lookup.data_set s using (data_set_id)
    where v.target = of_target and s.code = of_data_set_code and v.state in ('pending', 'sending')
    group by v.period
    union all
    select held.period, count(*)
    from (
      select distinct v.data_set_id, v.period from outbox.value v
      join lookup.data_set s using (data_set_id)
      join lookup.period p on p.period_type = s.period_type and p.period = v.period and p.start_on >= open_from
      where v.target = of_target and s.code = of_data_set_code and v.state = 'withheld'
    ) held
    cross join lateral outbox.objection(of_target, held.data_set_id, held.period, true, false) o
    where o.state = 'withheld' and o.objection is null
    group by held.period
    union all
    select u.period, 0
    from outbox.unsettled_completion(of_target, of_data_set_code, open_from, completion = 'mirror') u
    where completion <> 'never'
    union all
    select lost.period, count(*)
    from (
      select distinct v.data_set_id, v.period from outbox.value v
      join lookup.data_set s using (data_set_id)
      join lookup.period p on p.period_type = s.period_type and p.period = v.period and p.start_on >= open_from
      where v.target = of_target and s.code = of_data_set_code and v.state = 'refused'
    ) lost
    cross join lateral outbox.refused_value(of_target, lost.data_set_id, lost.period, today, false, judged, passing,
      most_tries) r
    where r.is_due
    group by lost.period
  ) w
  group by w.period
$$;
