-- outbox.lease: which run may write to a DHIS2 server and to its ledger; and what requests without an answer may still do.

create table outbox.lease (
  target text primary key,
  fence bigint not null,                -- one more each time that somebody takes it
  run_id text not null, taken_at timestamptz not null default now()
);

alter table outbox.batch
add column fence bigint,                -- of the lease under which it was cut
add column proven_at timestamptz,       -- DHIS2 was read back, and holds what is said here
add column alive_until timestamptz,     -- of a request without an answer: DHIS2 may still store it
add column read_again_at timestamptz;   -- of the same: from then on it is read back once more
update outbox.batch set proven_at = settled_at where state = 'settled';
create index batch_unproven on outbox.batch (target) where state = 'settled' and proven_at is null;

create table outbox.late_write (        -- what a request without an answer would write, until it was read back once more
  batch_id bigint not null references outbox.batch, value_id bigint not null,
  value text,                           -- null: a deletion
  primary key (batch_id, value_id)
);
