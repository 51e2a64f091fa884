-- DHIS2's metadata as last read.

-- name: keep_account
insert into lookup.account (target, user_id, authorities, org_unit_ids)
values (%(target)s, %(user_id)s, %(authorities)s, %(org_unit_ids)s)
on conflict (target) do update
set
  user_id = excluded.user_id, authorities = excluded.authorities, org_unit_ids = excluded.org_unit_ids,
  read_at = now();

-- name: keep_data_set_state
insert into lookup.data_set_state (data_set_id, digest)
values (%(data_set_id)s, %(digest)s)
on conflict (data_set_id) do update set digest = excluded.digest;

-- name: elements
select
  s.data_set_id,
  e.code,
  e.data_element_id,
  s.category_combo_id
from lookup.data_set_element as s
inner join lookup.data_element as e using (data_element_id);

-- name: combos
select
  category_combo_id,
  case when is_default then '{}' else option_codes end as option_codes,
  category_option_combo_id
from lookup.category_option_combo
inner join lookup.category_combo using (category_combo_id);
