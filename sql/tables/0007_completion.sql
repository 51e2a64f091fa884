-- Completion and reconciliation know of each other, and what a data set's keepers call compulsory counts.

create table lookup.compulsory_operand ( -- replaced whole at each refresh, like the rest of DHIS2's metadata
  data_set_id text not null, data_element_id text not null,
  category_option_combo_id text         -- null: a value under any combo will do
);

-- withheld: its values were delivered, and DHIS2 lacks one all the same, so that it is not called complete
alter table outbox.completion
  drop constraint completion_state_check,
  add constraint completion_state_check check (state in
    ('wanted', 'registered', 'found', 'unwanted', 'taken_back', 'refused', 'withheld'));

alter table outbox.discrepancy
  add column seen_at timestamptz not null default now();  -- last: what a later request put right is true no longer
