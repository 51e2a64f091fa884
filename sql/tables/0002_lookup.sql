-- lookup: DHIS2's metadata as last read, the calendar, and what each FHIR place and each total is called in DHIS2.
-- Every lookup table but place and period is replaced whole at each refresh.

create table lookup.server (
  target text primary key,             -- DHIS2_BASE_URL
  version text not null,               -- as /api/system/info says, for example 2.43.1
  default_category_option_combo_id text not null,
  refreshed_at timestamptz not null default now()
);

create table lookup.org_unit (
  org_unit_id text primary key, code text, name text not null, level integer not null,
  path text not null, opening_on date, closed_on date
);
create index on lookup.org_unit (code);

create table lookup.category_combo (
  category_combo_id text primary key, code text, name text not null, is_default boolean not null
);

create table lookup.category_option_combo (
  category_option_combo_id text primary key, code text, name text not null,
  category_combo_id text not null,
  option_codes text[] not null,         -- sorted; the combo is known by exactly these options
  option_ids text[] not null
);
create index on lookup.category_option_combo (category_combo_id, option_codes);

create table lookup.data_element (
  data_element_id text primary key, code text, name text not null, value_type text not null,
  aggregation_type text not null, zero_is_significant boolean not null, category_combo_id text not null,
  option_codes text[]                   -- null: no option set
);
create index on lookup.data_element (code);

create table lookup.data_set (
  data_set_id text primary key, code text, name text not null, period_type text not null,
  category_combo_id text not null, open_future_periods integer not null, expiry_days double precision not null,
  has_input_periods boolean not null, can_write boolean not null,
  open_periods_after_co_end_date integer not null default 0  -- after an attribute option's end DHIS2 still takes its values
);
create index on lookup.data_set (code);

create table lookup.data_set_element (
  data_set_id text not null, data_element_id text not null,
  category_combo_id text not null,      -- the effective one: the data set's own for this element, else the element's
  primary key (data_set_id, data_element_id)
);

create table lookup.data_set_org_unit (
  data_set_id text not null, org_unit_id text not null, primary key (data_set_id, org_unit_id)
);

create table lookup.period (
  period_type text not null, period text not null,   -- DHIS2's names: Monthly, 202401
  start_on date not null, end_on date not null,      -- both days belong to the period
  primary key (period_type, period)
);
create index on lookup.period (period_type, start_on, end_on);

create table lookup.place_mapping (     -- the country's place.csv
  location_id text primary key, org_unit text not null   -- a DHIS2 code or id
);

create table lookup.place (
  location_id text primary key, name text, org_unit_id text,
  rule text not null check (rule in ('mapping', 'identifier', 'code', 'ancestor', 'none')),
  reason text,                          -- why there is no org unit; null when there is one
  check ((org_unit_id is null) = (reason is not null))
);

create table lookup.target (            -- what one cell of an indicator is called in DHIS2
  indicator text not null, measure text not null, disaggregation text[] not null,
  data_set_id text not null, period_type text not null, data_element_id text not null,
  category_option_combo_id text not null, attribute_option_combo_id text not null,
  primary key (indicator, measure, disaggregation, data_set_id)
);

create table lookup.category_option (   -- the options of every combo that the data sets use
  category_option_id text primary key, code text,
  start_on date, end_on date,           -- null: open
  can_write boolean,                    -- by this account; null: the server does not say
  org_unit_ids text[]                   -- below these only; null: everywhere
);

create table lookup.lock_exception (    -- for these an administrator opened an expired period again
  data_set_id text not null, period text not null, org_unit_id text not null,
  primary key (data_set_id, period, org_unit_id)
);
