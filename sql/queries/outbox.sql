-- The ledger's plain statements; what has rules of its own is a function of sql/functions/outbox_*.sql.

-- name: forget_lock_exceptions
delete from lookup.lock_exception
where data_set_id = %(data_set_id)s and period = %(period)s;

-- name: keep_lock_exceptions
insert into lookup.lock_exception
select
  %(data_set_id)s,
  %(period)s,
  u.org_unit_id
from unnest(%(org_unit_ids)s::text []) u (org_unit_id);

-- name: unsettled_batches
select
  batch_id,
  target,
  data_set_id,
  period,
  import_strategy,
  value_count,
  job_id,
  extract(epoch from clock_timestamp() - created_at)::float8 as age_seconds
from outbox.batch
where target = %(target)s and state = 'sending' and batch_id = coalesce(%(batch_id)s, batch_id)
order by batch_id;

-- name: data_set
select
  data_set_id,
  open_future_periods,
  expiry_days,
  has_input_periods
from lookup.data_set
where code = %(code)s;

-- name: count_discrepancies
select
  period,
  kind,
  count(*)
from outbox.named_discrepancy
where target = %(target)s and data_set = %(code)s and resolved_at is null
group by period, kind
order by period, kind;
