-- The relations that are made of an indicator's list, as templates: what stands in %( )s is SQL, composed of the front
-- matter (views/relation.py).

-- name: totals
-- The members by period, org unit and disaggregation. The calendar is spread over its days, so that the join is by
-- equality. What has no unit, no date or a value that is no option stays out; left_out counts it.
select
  %(keys)s,
  %(measures)s
from %(member)s as member
inner join (
  select
    period_type,
    period,
    d::date as day_on
  from lookup.period
  cross join lateral generate_series(start_on, end_on, interval '1 day') as d
  where period_type in (%(period_types)s) and %(is_wanted)s
) as calendar on member.event_on = calendar.day_on and %(is_of_type)s
where member.org_unit_id is not null and %(is_option)s
group by %(keys)s;

-- name: no_value
-- The columns of indicator.value.
select
  null::text as indicator,
  null::text as measure,
  null::text as period_type,
  null::text as period,
  null::text as org_unit_id,
  null::text[] as disaggregation,
  null::numeric as value
where false;

-- name: values_of_measure
select
  %(of_indicator)s as indicator,
  %(of_measure)s as measure,
  period_type,
  period,
  org_unit_id,
  array[%(disaggregation)s]::text[] as disaggregation,
  %(number)s::numeric as value
from %(totals)s
where %(number)s is not null;

-- name: none_left_out
-- The columns of indicator.left_out.
select
  null::text as indicator,
  null::text as reason,
  0::bigint as member_count
where false;

-- name: left_out_of
select
  %(of_indicator)s as indicator,
  reason,
  count(*) as member_count
from (
  select
    case
      when event_on is null then 'no possible date'
      when org_unit_id is null then 'no org unit'
      else %(lacking_option)s
    end as reason
  from %(member)s
) as m
where reason is not null
group by reason;
