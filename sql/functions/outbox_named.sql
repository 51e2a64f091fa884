-- The ledger by the names that people know, and the values that they ask for.

create or replace view outbox.named_discrepancy as
select
  d.*,
  coalesce(s.code, d.data_set_id) as data_set,
  coalesce(u.name, d.org_unit_id) as org_unit,
  coalesce(e.name, d.data_element_id) as data_element,
  concat_ws(' / ', coalesce(c.name, d.category_option_combo_id),
    nullif(coalesce(a.name, d.attribute_option_combo_id), coalesce(c.name, d.category_option_combo_id))) as combo
from outbox.discrepancy d
left join lookup.data_set s using (data_set_id)
left join lookup.org_unit u using (org_unit_id)
left join lookup.data_element e using (data_element_id)
left join lookup.category_option_combo c on d.category_option_combo_id = c.category_option_combo_id
left join lookup.category_option_combo a on d.attribute_option_combo_id = a.category_option_combo_id;

-- What people see of the ledger: its values by name, and what one run left behind, for the commands and the page.

-- Where a value stands, in one word more than its state: withheld for good, because the period is closed.
create or replace function outbox.shown_state(state text, code text)
returns text language sql immutable parallel safe as $$
  select case when state = 'withheld' and code in ('E8030', 'beyond_open_periods') then 'closed' else state end
$$;

create or replace view outbox.named_value as
select
  v.value_id,
  v.target,
  v.data_set_id,
  coalesce(s.code, v.data_set_id) as data_set,
  v.period,
  v.org_unit_id,
  u.code as org_unit,
  u.name as org_unit_name,
  v.data_element_id,
  e.code as data_element,
  e.name as data_element_name,
  v.category_option_combo_id,
  c.name as category_option_combo,
  v.attribute_option_combo_id,
  a.name as attribute_option_combo,
  v.wanted,
  v.acknowledged,
  outbox.shown_state(v.state, v.code) as state,
  v.code,
  v.reason,
  v.attempt,
  v.batch_id,
  v.run_id,
  v.wanted_at,
  v.settled_at
from outbox.value v
left join lookup.data_set s using (data_set_id)
left join lookup.org_unit u using (org_unit_id)
left join lookup.data_element e using (data_element_id)
left join lookup.category_option_combo c on v.category_option_combo_id = c.category_option_combo_id
left join lookup.category_option_combo a on v.attribute_option_combo_id = a.category_option_combo_id;

-- The values that a person asks for, by codes or ids; null: any. The state `withheld` has the closed ones in it.
create or replace function outbox.find_value(of_target text, of_data_set text, of_period text, of_state text, of_code text,
  of_org_unit text, of_data_element text, of_category_option_combo text, of_attribute_option_combo text)
returns setof outbox.value language sql stable as $$
  select v.* from outbox.value v
  where v.target = of_target
    and (of_data_set is null or v.data_set_id in (
      select of_data_set union all select s.data_set_id from lookup.data_set s where s.code = of_data_set))
    and (of_period is null or v.period = of_period)
    and (of_state is null or of_state in (v.state, outbox.shown_state(v.state, v.code)))
    and (of_code is null or outbox.unified_code(v.code) = outbox.unified_code(of_code))
    and (of_org_unit is null or v.org_unit_id in (
      select of_org_unit union all select u.org_unit_id from lookup.org_unit u where u.code = of_org_unit))
    and (of_data_element is null or v.data_element_id in (
      select of_data_element
      union all select e.data_element_id from lookup.data_element e where e.code = of_data_element))
    and (of_category_option_combo is null or v.category_option_combo_id = of_category_option_combo)
    and (of_attribute_option_combo is null or v.attribute_option_combo_id = of_attribute_option_combo)
$$;

-- The first of them by their names, in the order of the ledger.
create or replace function outbox.find_named_value(of_target text, of_data_set text, of_period text, of_state text, of_code text,
  of_org_unit text, of_data_element text, of_category_option_combo text, of_attribute_option_combo text,
  at_most integer)
returns setof outbox.named_value language sql stable as $$
  select n.*
  from (
    select f.value_id
    from outbox.find_value(of_target, of_data_set, of_period, of_state, of_code, of_org_unit, of_data_element,
      of_category_option_combo, of_attribute_option_combo) f
    order by f.target, f.data_set_id, f.period, f.data_element_id, f.org_unit_id, f.category_option_combo_id,
      f.attribute_option_combo_id
    limit at_most
  ) f
  join outbox.named_value n using (value_id)
  order by n.data_set_id, n.period, n.data_element_id, n.org_unit_id, n.category_option_combo_id,
    n.attribute_option_combo_id
$$;

-- How many values stand where, those of closed periods apart from those withheld.
create or replace view outbox.status as
select
  v.target,
  coalesce(s.code, v.data_set_id) as data_set,
  v.period,
  outbox.shown_state(v.state, v.code) as state,
  v.code,
  count(*) as value_count,
  max(v.settled_at) as settled_at
from outbox.value v left join lookup.data_set s using (data_set_id)
group by 1, 2, 3, 4, 5
order by 1, 2, 3, 4, 5;

-- The requests that carried a value, the first one first.
create or replace function outbox.batch_of_value(of_value bigint)
returns setof outbox.batch language sql stable as $$
  select b.* from outbox.batch b
  where b.batch_id in (select h.batch_id from outbox.history h where h.value_id = of_value)
  order by b.batch_id
$$;
