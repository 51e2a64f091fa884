-- The ledger in the words of its field. Rows of an earlier warehouse are carried over.

alter table outbox.discrepancy drop constraint discrepancy_kind_check;
update outbox.discrepancy set kind = case kind
  when 'silent_drop' then 'missing_in_dhis2'
  when 'orphan' then 'stale_value'
  when 'stranger' then 'unknown_value'
  when 'behind' then 'ledger_outdated'
  else kind end;
alter table outbox.discrepancy add constraint discrepancy_kind_check check (kind in
  ('foreign_edit', 'missing_in_dhis2', 'default_combo', 'stale_value', 'unknown_value', 'ledger_outdated'));
alter table outbox.discrepancy rename column there to stored;
alter view if exists outbox.named_discrepancy rename column there to stored;  -- where a country's view rests on it

-- One discrepancy as it was just found, with what is to be done about it (null: it stands).
create type outbox.finding as (
  data_element_id text, org_unit_id text, category_option_combo_id text, attribute_option_combo_id text,
  value_id bigint,                      -- null: the ledger has no such cell
  wanted text, acknowledged text, stored text, is_deleted boolean, kind text, resolution text
);

alter table outbox.completion drop constraint completion_state_check;
update outbox.completion set state = case state
  when 'found' then 'registered_by_other'
  when 'unwanted' then 'to_delete'
  when 'taken_back' then 'deleted'
  else state end;
alter table outbox.completion add constraint completion_state_check check (state in
  ('wanted', 'registered', 'registered_by_other', 'to_delete', 'deleted', 'refused', 'withheld'));

alter table outbox.forecast rename column fate to predicted_outcome;
alter table outbox.forecast rename constraint forecast_fate_check to forecast_predicted_outcome_check;
alter table outbox.forecast_score rename column by_fate to by_predicted_outcome;
