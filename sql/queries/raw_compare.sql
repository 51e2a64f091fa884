-- What a comparison found, counted.

-- name: count_findings
select
  case
    when difference = 'gone' then 'gone'
    when there_at >= %(planned_to)s then 'not_due'
    when is_rejected then 'rejected'
    when is_here then 'stale'
    else 'missing'
  end as finding,
  count(*),
  (array_agg(id order by id))[1:20]
from raw.compare(%(table)s, %(resource_type)s, %(at_source)s, true)
where difference <> 'retagged' and (not is_here or difference = 'older' or here_at < %(began_at)s)
group by 1;
