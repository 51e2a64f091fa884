-- outbox: one row for every value that should be in DHIS2, which says where it stands; and one row for each request.

create table outbox.batch (
  batch_id bigint generated always as identity primary key,
  target text not null, data_set_id text not null, period text not null,
  import_strategy text not null check (import_strategy in ('CREATE_AND_UPDATE', 'DELETE')),
  value_count integer not null,
  state text not null default 'sending' check (state in ('sending', 'settled')),
  run_id text not null,
  http_status integer, note text,                       -- what the reply said, without values
  created_at timestamptz not null default now(), settled_at timestamptz,
  job_id text                                           -- of an import that DHIS2 runs as a job of its own
);
create index on outbox.batch (target) where state = 'sending';

create table outbox.value (
  target text not null, data_set_id text not null, period text not null, org_unit_id text not null,
  data_element_id text not null, category_option_combo_id text not null, attribute_option_combo_id text not null,
  wanted text,                                          -- null: no value should be there
  acknowledged text,                                    -- what DHIS2 last confirmed; null: nothing
  state text not null check (state in
    ('pending', 'sending', 'delivered', 'dropped', 'refused', 'withheld', 'withdrawn')),
  code text, reason text,                               -- why not, in DHIS2's code and in plain words
  attempt integer not null default 0,                   -- requests that DHIS2 answered, and the one under way
  batch_id bigint references outbox.batch, row_index integer,  -- the last request that carried it, and where in it
  run_id text not null,
  wanted_at timestamptz not null default now(), settled_at timestamptz,
  value_id bigint generated always as identity,
  primary key (target, data_set_id, period, data_element_id, org_unit_id,
               category_option_combo_id, attribute_option_combo_id),
  check (state <> 'sending' or (batch_id is not null and row_index is not null)),
  check (wanted !~ '["\\[:cntrl:]]')                -- what JSON would have to escape
);
create index value_pending on outbox.value (target, data_set_id, period) where state = 'pending';
create index value_sending on outbox.value (batch_id, row_index) where state = 'sending';
create unique index on outbox.value (value_id);
create index value_dropped on outbox.value (target, data_set_id, period, data_element_id) where state = 'dropped';
create index value_withheld on outbox.value (target, data_set_id, period) where state = 'withheld';

-- What one run did for one data set and period, in values; kept for the report and the trend.
create table outbox.delivery (
  run_id text not null, target text not null, data_set_id text not null, period text not null,
  sent bigint not null, accepted bigint not null, refused bigint not null, unchanged bigint not null,
  withheld bigint not null, request_count integer not null, seconds double precision not null,
  delivered_at timestamptz not null default now(),
  waiting bigint not null default 0,                    -- until the submission hours begin again
  primary key (run_id, target, data_set_id, period)
);

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

-- outbox.discrepancy: where DHIS2 holds something else than the ledger says, found by reading it back.

create table outbox.discrepancy (
  discrepancy_id bigint generated always as identity primary key,
  target text not null, data_set_id text not null, period text not null, org_unit_id text not null,
  data_element_id text not null, category_option_combo_id text not null, attribute_option_combo_id text not null,
  kind text not null check (kind in
    ('foreign_edit', 'silent_drop', 'default_combo', 'orphan', 'stranger', 'behind')),
  wanted text, acknowledged text,       -- what the ledger said when it was last found
  there text,                           -- what DHIS2 held then; null: nothing
  is_deleted boolean not null,          -- somebody deleted it: DHIS2 keeps a trace of the value
  found_at timestamptz not null default now(),   -- first
  run_id text not null,                 -- who found it last, or resolved it
  resolved_at timestamptz,
  resolution text check (resolution in ('gone', 'overwritten', 'accepted', 'settled')),
  check ((resolved_at is null) = (resolution is null))
);
create unique index discrepancy_open on outbox.discrepancy (target, data_set_id, period, data_element_id, org_unit_id,
  category_option_combo_id, attribute_option_combo_id) where resolved_at is null;

-- outbox.completion: one row for each unit that we told DHIS2 is complete, or should have told, and where that stands.
-- A unit here is an org unit with an attribute option combo, in one data set and period of one DHIS2.

create table outbox.completion (
  target text not null, data_set_id text not null, period text not null, org_unit_id text not null,
  attribute_option_combo_id text not null,
  state text not null check (state in
    ('wanted', 'registered', 'found', 'unwanted', 'taken_back', 'refused')),  -- found: somebody else registered it
  is_ours boolean not null default false,               -- DHIS2 may hold a registration that we made
  code text, reason text,                               -- why not, in a code and in plain words
  basis text not null,                                  -- what a refusal rests on; when it changes, we ask again
  attempt integer not null default 0,
  run_id text not null,
  wanted_at timestamptz not null default now(), settled_at timestamptz,
  primary key (target, data_set_id, period, org_unit_id, attribute_option_combo_id)
);

-- outbox.forecast: what the next push of a data set and period will do to each value; and how right that was.

create table outbox.forecast (
  target text not null, data_set_id text not null, period text not null,
  value_id bigint primary key,          -- outbox.value.value_id
  fate text not null check (fate in ('create', 'change', 'same', 'delete', 'zero_dropped', 'refused', 'closed')),
  code text,                            -- why it is refused or closed
  run_id text not null, made_at timestamptz not null default now()
);
create index on outbox.forecast (target, data_set_id, period);

create table outbox.forecast_score (
  run_id text not null, target text not null, data_set_id text not null, period text not null,
  right_count bigint not null, wrong_count bigint not null,
  open_count bigint not null,           -- still pending, because the push was interrupted: not scored yet
  share double precision,               -- of right ones; null: none was scored
  by_fate jsonb not null,               -- fate -> {right, wrong}
  made_at timestamptz not null,         -- of the forecast
  scored_at timestamptz not null default now(),
  primary key (run_id, target, data_set_id, period)
);
