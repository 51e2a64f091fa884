-- Refusals that heal: what each rests on, and when it was tried last.

create table lookup.account (           -- the account that reports, as DHIS2 last described it
  target text primary key, user_id text not null,
  authorities text[] not null,          -- sorted, as the org units below which it may enter data
  org_unit_ids text[] not null,
  read_at timestamptz not null default now()
);

create table lookup.data_set_state (    -- of what DHIS2 says of a data set beyond the lookup tables: input periods, approval
  data_set_id text primary key, digest text not null
);

create table outbox.plan_basis (        -- what the last plan of a data set and period rested on
  target text not null, data_set_id text not null, period text not null,
  basis text not null,                  -- outbox.basis
  planned_on date not null,             -- by DHIS2's clock
  primary key (target, data_set_id, period)
);

create table outbox.refusal (           -- of a value that is refused, or that is tried again
  value_id bigint primary key,          -- outbox.value.value_id
  code text, reason text,
  basis text not null, tried_on date not null,  -- of the plan with which it was tried last
  try_count integer not null default 0,         -- how often in vain on this basis, after the first time
  is_due boolean not null default false,        -- the next delivery tries it again
  is_released boolean not null default false    -- and is about it
);

create index value_refused on outbox.value (target, data_set_id, period) where state = 'refused';
