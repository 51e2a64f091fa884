-- What views/ has built, from what definition, and how far: the last load number seen, or a digest of the inputs.
create table warehouse.relation (
  name text primary key,                -- staging.patient, indicator.anc_first_visits
  kind text not null check (kind in ('staging', 'indicator')),
  checksum text not null,
  load_id bigint,
  inputs text,
  row_count bigint not null,
  built_at timestamptz not null default now(),
  counted_at timestamptz                -- built_at of the totals in warehouse.counted_period
);

-- Which periods a run touched: those of the rows that staging upkeep took away or brought, and every period of which a
-- total moved, whatever moved it (a Patient's sex, a mapping, the end of a quarter). To be shown; what is sent is decided
-- by outbox.changed_periods alone.

create table warehouse.touched_period ( -- by rows of a staging table that were not the same before and after
  indicator text not null references warehouse.relation (name) on delete cascade,
  source text not null,                 -- the staging table that has the indicator's date
  period_type text not null, period text not null,
  old_count bigint not null, new_count bigint not null,   -- rows that were there, rows that came
  is_pending boolean not null,          -- since the indicator was built last; else by the run that built it then
  primary key (indicator, source, period_type, period, is_pending)
);

create table warehouse.counted_period ( -- a digest of each period's totals, to tell which of them a run moved
  indicator text not null references warehouse.relation (name) on delete cascade,
  period_type text not null, period text not null,
  digest numeric,                       -- null: no totals any more
  is_changed boolean not null,          -- by the run that built the indicator last
  primary key (indicator, period_type, period)
);
