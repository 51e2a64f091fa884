-- One schema a stage: psql's \dn shows the picture of the README.
create schema if not exists raw;        -- FHIR resources as received
create schema if not exists staging;    -- one typed row a resource
create schema if not exists member;     -- what each indicator counts
create schema if not exists indicator;  -- its totals
create schema if not exists lookup;     -- DHIS2's ids, the calendar, places
create schema if not exists outbox;     -- one row a value, and where it stands
create schema if not exists fhir;       -- functions that read FHIR's JSON
create schema if not exists warehouse; -- what is applied and built here

-- raw: FHIR resources as received, one table a type, newest version only; what they replaced, and what was refused.

create table raw.load (
  load_id bigint generated always as identity primary key,
  source text not null, resource_type text not null,
  window_from timestamptz, window_to timestamptz,
  read_count bigint not null default 0, inserted_count bigint not null default 0,
  updated_count bigint not null default 0, unchanged_count bigint not null default 0,
  rejected_count bigint not null default 0,
  loaded_at timestamptz not null default now()
);

create table raw.watermark (
  source text not null, resource_type text not null, read_to timestamptz not null,
  primary key (source, resource_type)
);

create table raw.superseded (
  resource_type text not null, id text not null, version_id bigint not null, last_updated timestamptz not null,
  resource jsonb, load_id bigint not null, superseded_at timestamptz not null default now()
);
create index on raw.superseded (resource_type, id);

create table raw.rejected (
  rejected_id bigint generated always as identity primary key,
  resource_type text not null, id text, reason text not null,
  body bytea not null,                  -- bytes: what was refused may be no text at all
  load_id bigint, rejected_at timestamptz not null default now(),
  settled_at timestamptz,               -- asked for again, and given whole or not there any more
  body_md5 text generated always as (md5(body)) stored
);

create table raw.invalid (              -- what fhir.resources says of a sample; nothing is changed for it
  resource_type text not null, id text not null, version_id bigint not null, problem text not null,
  found_at timestamptz not null default now(),
  primary key (resource_type, id, version_id, problem)
);
create unique index on raw.rejected (resource_type, coalesce(id, ''), reason, body_md5);  -- re-reading adds nothing

-- Slices of windows: what was planned to be read, what the source counted, what landed, and what is missing of it.

create table raw.slice (
  slice_id bigint generated always as identity primary key,
  source text not null, resource_type text not null,
  kind text not null check (kind in ('window', 'resweep')),
  window_from timestamptz not null, window_to timestamptz not null check (window_to > window_from),
  state text not null default 'planned' check (state in ('planned', 'landed', 'certified', 'short')),
  planned_count bigint not null,         -- at the source, when the window was cut
  source_count bigint, source_digest text,  -- at the source, after it was read: md5 of its ids in order
  landed_count bigint, landed_digest text,  -- the same of what stands in raw
  rejected_count bigint not null default 0,  -- of the source's, in raw.rejected instead
  repaired_count bigint not null default 0,  -- not in the pages, and read by id
  late_count bigint not null default 0,      -- committed after the slice was counted, with an older stamp
  changed_count bigint not null default 0,   -- went to a later window while the slice was read
  deleted_count bigint not null default 0,   -- went altogether
  missing_ids text[] not null default '{}',  -- listed by the source, and not given
  unlisted_count bigint not null default 0,  -- counted by the source, and not even listed
  unlisted_from timestamptz,             -- the first instant of the first of these
  attempt_count integer not null default 0,
  clock_ahead interval not null,         -- the source's clock beside the warehouse's
  planned_at timestamptz not null default now(), finished_at timestamptz,
  check (state <> 'certified' or (source_count = landed_count + rejected_count and missing_ids = '{}')),
  check (state <> 'certified' or rejected_count > 0 or source_digest = landed_digest)
);
create index on raw.slice (source, resource_type, window_to);
create index on raw.slice (source, resource_type) where state <> 'certified';

-- Deletions at the source: how far each type's history was read for them, what each search found, and both sides' ids compared.

create table raw.delete_watermark (
  source text not null, resource_type text not null, read_to timestamptz not null,
  primary key (source, resource_type)
);

create table raw.delete_search (         -- one row each time that somebody looked for deletions
  delete_search_id bigint generated always as identity primary key,
  source text not null, resource_type text not null,
  way text not null check (way in ('history', 'sweep')), reason text,  -- why a sweep, when history was wanted
  since_at timestamptz, until_at timestamptz not null,
  source_count bigint not null,          -- deletions that the history told, or ids that the source has
  deleted_count bigint not null,         -- tombstones put; their ids stand in the raw table under load_id
  loaded_count bigint not null default 0,  -- resources that a sweep found missing or old here
  load_id bigint not null, searched_at timestamptz not null default now()
);
create index on raw.delete_search (resource_type, searched_at);

-- Bulk exports for a first load: every kick-off, the files of its manifest, and the ids that came, by which the slices
-- that were planned before it are proven complete, or left to the REST search.

create table raw.export_job (
  export_job_id bigint generated always as identity primary key,
  source text not null, resource_types text[] not null,
  -- asked: no answer kept yet;  running: polled;  ready: its files are being loaded;  loaded: done;
  -- lost: it expired or failed, and another was asked for;  refused, failed: the REST search reads everything instead
  state text not null default 'asked'
  check (state in ('asked', 'running', 'ready', 'loaded', 'lost', 'refused', 'failed')),
  reason text,                           -- why it was lost, refused or failed
  status_url text,                       -- whoever has it may read patients: forgotten when the job has ended
  requires_access_token boolean,         -- null where the manifest does not say
  transaction_time timestamptz,          -- of the server: what was written later need not be in the files
  error_count bigint not null default 0,  -- OperationOutcomes in the manifest's error files
  kicked_off_at timestamptz not null default clock_timestamp(), ended_at timestamptz,
  check (status_url is not null or state not in ('running', 'ready'))
);
create unique index on raw.export_job (source) where state in ('asked', 'running', 'ready');

create table raw.export_file (
  export_file_id bigint generated always as identity primary key,
  export_job_id bigint not null references raw.export_job,
  kind text not null check (kind in ('output', 'deleted', 'error')),
  resource_type text not null,
  url text,                              -- as secret as the status URL, and forgotten with it
  state text not null default 'planned' check (state in ('planned', 'landed', 'failed')),
  reason text,                           -- why it failed
  planned_count bigint,                  -- lines, where the manifest tells them
  landed_count bigint not null default 0,  -- lines that were read
  attempt_count integer not null default 0,
  landed_at timestamptz
);
create index on raw.export_file (export_job_id);

-- What came, until the slices are proven; a crash of Postgres empties it, and the slices are then read by search.
create unlogged table raw.export_stamp (
  export_job_id bigint not null, resource_type text not null,
  id text not null, version_id bigint not null, last_updated timestamptz not null
);

-- Ways in beside a FHIR server: which files of NDJSON were loaded, and what was received held against what stands in raw.

create table raw.loaded_file (
  source text not null, resource_type text not null, file_name text not null,  -- below the folder that source names
  state text not null check (state in ('loaded', 'broken')), reason text,
  fingerprint text not null,             -- of size, time, etag: as the storage tells them without the content
  digest text,                           -- sha256 of the content, unpacked
  line_count bigint,                     -- as they were read, less blank ones
  inserted_count bigint, updated_count bigint,
  unchanged_count bigint,                -- this version or a later one was here, of another line of the file too
  rejected_count bigint,                 -- in raw.rejected instead
  table_node oid,                        -- where Postgres kept the raw table: elsewhere now, it was emptied since
  loaded_at timestamptz not null default now(),
  primary key (source, resource_type, file_name),
  check (state = 'broken' or line_count = inserted_count + updated_count + unchanged_count + rejected_count)
);
