-- What the asset checks ask of the ledger.

-- name: count_stopped
select
  state,
  coalesce(code, ''),
  sum(value_count)::integer
from outbox.status
where target = %(target)s and data_set = %(data_set)s and state in ('refused', 'withheld')
group by 1, 2;
