-- fhir: functions that read FHIR's JSON, tolerant of what devices write: what cannot be read is null, never an error.
-- Plain SQL, so that Postgres inlines most of them.

create table warehouse.relation (
  name text primary key,                -- staging.patient, indicator.anc_visits
  kind text not null,
  checksum text not null,               -- of the file, its zone and what it reads
  load_id bigint,                       -- staging: the last load taken over
  row_count bigint not null, built_at timestamptz not null default now()
);

-- The id in a reference to a type: relative, absolute or versioned; null for another type, #contained and urn:uuid.
create function fhir.reference_id(reference text, resource_type text)
returns text language sql immutable parallel safe as $$
  select substring(reference from '(?:^|/)' || resource_type || '/([A-Za-z0-9.\-]{1,64})(?:/_history/[^/]+)?$')
$$;

-- A whole calendar date out of the first ten characters, if there is such a day.
create function fhir.whole_date(value text)
returns date language sql immutable parallel safe as $$
  select case
    when value ~ '^[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])'
      and substr(value, 9, 2)::int <= extract(day from
        make_date(substr(value, 1, 4)::int, substr(value, 6, 2)::int, 1) + interval '1 month - 1 day')
    then substr(value, 1, 10)::date
  end
$$;

-- An instant; a time without a zone is taken in the country's zone, a date alone is no instant.
create function fhir.instant(value text)
returns timestamptz language sql stable parallel safe as $$
  select case
    when fhir.whole_date(value) is null then null
    when value ~ '^.{10}T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-](0\d|1[0-4]):[0-5]\d)$' then value::timestamptz
    when value ~ '^.{10}T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?$'
      then value::timestamp at time zone current_setting('opensrp.report_timezone')
  end
$$;

-- The calendar day in the country's zone: an instant is cut there, a date stays what it is.
create function fhir.local_date(value text)
returns date language sql stable parallel safe as $$
  select coalesce(
    (fhir.instant(value) at time zone current_setting('opensrp.report_timezone'))::date,
    case when length(value) = 10 then fhir.whole_date(value) end)
$$;

-- A date that may lack its day or month, as the first day it can mean: 1990 is 1990-01-01.
create function fhir.partial_date(value text)
returns date language sql immutable parallel safe as $$
  select case length(value)
    when 4 then fhir.whole_date(value || '-01-01')
    when 7 then fhir.whole_date(value || '-01')
    else fhir.whole_date(value)
  end
$$;

create function fhir.date_precision(value text)
returns text language sql immutable parallel safe as $$
  select case
    when fhir.partial_date(value) is null then null
    when length(value) = 4 then 'year'
    when length(value) = 7 then 'month'
    else 'day'
  end
$$;

-- SNOMED CT stands under three addresses in OpenSRP's data; all mean the first.
create function fhir.code_system(system text)
returns text language sql immutable parallel safe as $$
  select case when system in ('https://www.snomed.org', 'http://www.snomed.org/', 'http://www.snomed.org',
    'https://www.snomed.org/') then 'http://snomed.info/sct' else system end
$$;

-- Every code of a Coding, a CodeableConcept, or a list of CodeableConcepts, as system|code with the system normalised.
-- For `codes && array['http://snomed.info/sct|77386006']`: the wanted coding may stand anywhere among them.
create function fhir.codes(concept jsonb)
returns text[] language sql immutable parallel safe as $$
  select coalesce(array_agg(distinct fhir.code_system(c.value ->> 'system') || '|' || (c.value ->> 'code')), '{}')
  from (
    select jsonb_path_query(concept, 'lax $[*].coding[*]') as value
    union all
    select concept where jsonb_typeof(concept) = 'object' and concept ? 'code'
  ) c
  where c.value ->> 'system' is not null and jsonb_typeof(c.value -> 'code') = 'string'
$$;

-- The ids in OpenSRP's tags: where the client lives, and who recorded it. `Not defined` is nobody; a worker with
-- several locations or teams has none that is certain. Some devices spell a system with a z or a space in it.
create function fhir.tags(resource jsonb)
returns table (related_location_id text, worker_location_id text, practitioner_id text, care_team_id text,
  organization_id text)
language sql immutable parallel safe rows 1 as $$
  select
    min(t.code) filter (where t.system = 'related-entity-location-tag-id'),
    case when count(distinct t.code) filter (where t.system = 'location-tag-id') = 1
      then min(t.code) filter (where t.system = 'location-tag-id') end,
    min(t.code) filter (where t.system = 'practitioner-tag-id'),
    case when count(distinct t.code) filter (where t.system = 'care-team-tag-id') = 1
      then min(t.code) filter (where t.system = 'care-team-tag-id') end,
    case when count(distinct t.code) filter (where t.system in ('organisation-tag-id', 'organization-tag-id')) = 1
      then min(t.code) filter (where t.system in ('organisation-tag-id', 'organization-tag-id')) end
  from (
    select c.value ->> 'code' as code,
      substring(replace(c.value ->> 'system', ' ', '') from '^https://smartregister\.org/(.+)$') as system
    from jsonb_path_query(resource, 'lax $.meta.tag[*]') c (value)
  ) t
  where t.code <> 'Not defined'
$$;

-- The local day of an event, unless it lies more than a day after the resource arrived: a device clock gone wrong.
create function fhir.event_date(value text, arrived_at timestamptz)
returns date language sql stable parallel safe as $$
  select case when fhir.local_date(value) <= (arrived_at + interval '1 day')::date then fhir.local_date(value) end
$$;

-- A decimal, or null for what is no number.
create function fhir.number(value jsonb)
returns numeric language sql immutable parallel safe as $$
  select case when jsonb_typeof(value) = 'number' then (value #>> '{}')::numeric end
$$;

-- Completed years between a birth date and a day; null when one is missing or the day lies before the birth.
create function fhir.age_in_years(birth_on date, day date)
returns integer language sql immutable parallel safe as $$
  select case when day >= birth_on then extract(year from age(day, birth_on))::integer end
$$;
