-- fhir: functions that read FHIR's JSON. All are tolerant: what is not as FHIR says gives null, never an error,
-- and none starts a subtransaction, so that parallel plans may use them.

-- Give the id that a reference of one type names: relative, versioned, or absolute at our own server; else null.
-- Matched without a capture and cut afterwards: ten times faster than substring(... from ...).
create or replace function fhir.reference_id(reference text, resource_type text)
returns text language sql stable parallel safe as $$
  select case
    when reference ~ ('^' || resource_type || '/[A-Za-z0-9.-]+(/_history/[^/]+)?$')
      then split_part(split_part(reference, '/_history/', 1), '/', 2)
    when reference ~ '^https?://' then fhir.own_reference_id(reference, resource_type)
  end
$$;

-- Give the id that an absolute reference names, when it is to our own server: at another one, an id is not ours.
create or replace function fhir.own_reference_id(reference text, resource_type text)
returns text language plpgsql stable parallel safe as $$
declare
  bare constant text := split_part(split_part(reference, '://', 2), '/_history/', 1);
  resource_id constant text := split_part(bare, '/', -1);
begin
  if resource_id !~ '^[A-Za-z0-9.-]+$' then return null; end if;
  perform from raw.own_address as own where own.address || '/' || resource_type || '/' || resource_id = bare;
  return case when found then resource_id end;
end $$;

-- Give the calendar day at the start of a date or dateTime as it stands; null when there is no such day.
create or replace function fhir.calendar_day(value text)
returns date language plpgsql immutable strict parallel safe as $$
declare
  first_on date;
  day_on date;
begin
  if value !~ '^(?!0000)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])($|T)' then return null; end if;
  first_on := make_date(left(value, 4)::integer, substr(value, 6, 2)::integer, 1);
  day_on := first_on + (substr(value, 9, 2)::integer - 1);
  return case when extract(month from day_on) = extract(month from first_on) then day_on end;
end $$;

-- Give the moment that an instant or a full dateTime names; null without a time zone.
create or replace function fhir.instant(value text)
returns timestamptz language plpgsql stable strict parallel safe as $$
begin
  if value ~ '^.{10}T([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)(\.\d{1,20})?)?(Z|[+-](0\d|1[0-4]):[0-5]\d)$'
    and fhir.calendar_day(value) is not null
  then return value::timestamptz; end if;
  return null;
end $$;

-- Give the day in the country: a moment is cut in its time zone, a day without a zone stays; partial dates give null.
create or replace function fhir.local_date(value text)
returns date language plpgsql stable strict parallel safe as $$
begin
  if value ~ 'T.*(Z|[+-]\d\d:\d\d)$'
  then return (fhir.instant(value) at time zone current_setting('opensrp.report_timezone'))::date; end if;
  return fhir.calendar_day(value);
end $$;

-- Give the local day of an event that can have happened: not after its arrival (a day of grace for clocks), and not
-- the first day of 1970, which a phone writes that has lost its clock.
create or replace function fhir.event_date(value text, arrived_at timestamptz)
returns date language plpgsql stable strict parallel safe as $$
declare
  day_on date := fhir.local_date(value);
begin
  if day_on > (arrived_at at time zone current_setting('opensrp.report_timezone'))::date + 1
    or day_on = date '1970-01-01'
  then return null; end if;
  return day_on;
end $$;

-- Give the first day that a partial date (1990, 1990-05, 1990-05-17) allows.
create or replace function fhir.partial_date(value text)
returns date language plpgsql immutable strict parallel safe as $$
begin
  return fhir.calendar_day(case length(value) when 4 then value || '-01-01' when 7 then value || '-01' else value end);
end $$;

-- Say how exact a partial date is: year, month or day; null when it is no date.
create or replace function fhir.date_precision(value text)
returns text language plpgsql immutable strict parallel safe as $$
begin
  if fhir.partial_date(value) is null then return null; end if;
  return case length(value) when 4 then 'year' when 7 then 'month' else 'day' end;
end $$;

-- Give today in the country, by the session's own clock where it has one (REPORT_NOW); a session without our settings
-- (psql) takes the server's clock and UTC.
create or replace function fhir.today()
returns date language sql stable parallel safe as $$
  select (coalesce(nullif(current_setting('opensrp.report_now', true), '')::timestamptz, now())
    at time zone coalesce(nullif(current_setting('opensrp.report_timezone', true), ''), 'UTC'))::date
$$;

-- Give the completed years between birth and a day; null before birth.
create or replace function fhir.age_years(birth_on date, day_on date)
returns integer language sql immutable parallel safe as $$
  select case when day_on >= birth_on then extract(year from age(day_on, birth_on))::integer end
$$;

-- Give a JSON number as a number; anything else is null.
create or replace function fhir.number(value jsonb)
returns numeric language sql immutable parallel safe as $$
  select case jsonb_typeof(value) when 'number' then (value #>> '{}')::numeric end
$$;

-- Give the one address of a code system: OpenSRP writes SNOMED CT under three.
create or replace function fhir.canonical_system(system text)
returns text language sql immutable parallel safe as $$
  select case
    when system in ('https://www.snomed.org', 'https://www.snomed.org/', 'http://www.snomed.org', 'http://www.snomed.org/')
      then 'http://snomed.info/sct'
    else system
  end
$$;

-- Give every coding of a CodeableConcept, of a list of them, or of a Coding, as FHIR tokens `system|code`.
-- Never null: `not ('...' = any (codes))` is true for what has no codes.
create or replace function fhir.codes(concept jsonb)
returns text[] language plpgsql immutable parallel safe as $$
declare
  codings jsonb := concept -> 'coding';
  tokens text[] := '{}';
begin
  if concept is null then return tokens; end if;
  if jsonb_typeof(concept) = 'array' then
    for i in 0 .. jsonb_array_length(concept) - 1 loop
      tokens := tokens || fhir.codes(concept -> i);
    end loop;
    return tokens;
  end if;
  if codings is null then codings := jsonb_build_array(concept); end if;
  if jsonb_typeof(codings) <> 'array' then return tokens; end if;
  for i in 0 .. jsonb_array_length(codings) - 1 loop
    if codings -> i ->> 'code' is not null then
      tokens := tokens || (
        coalesce(fhir.canonical_system(codings -> i ->> 'system'), '') || '|' || (codings -> i ->> 'code'));
    end if;
  end loop;
  return tokens;
end $$;

-- Give the first code of a CodeableConcept in any of these systems.
create or replace function fhir.code(concept jsonb, variadic systems text[])
returns text language plpgsql immutable strict parallel safe as $$
declare
  token text;
begin
  foreach token in array fhir.codes(concept) loop
    if split_part(token, '|', 1) = any (systems) then return substr(token, strpos(token, '|') + 1); end if;
  end loop;
  return null;
end $$;

-- Say whether a CodeableConcept holds one of these codes of a system, wherever among its codings.
create or replace function fhir.has_code(concept jsonb, system text, variadic codes text[])
returns boolean language sql immutable parallel safe as $$
  select fhir.codes(concept) && array(select fhir.canonical_system(system) || '|' || c from unnest(codes) c)
$$;

-- Give the ids of a resource's OpenSRP tags, each only when exactly one is written; `Not defined` is none.
-- The addresses stand in translated files (one spells organization, one has a space); before 2022 only the display told.
create or replace function fhir.tags(resource jsonb, out related_location_id text, out worker_location_id text,
  out practitioner_id text, out care_team_id text, out organization_id text)
language plpgsql immutable parallel safe as $$
declare
  systems constant text[] := '{https://smartregister.org/related-entity-location-tag-id,
    https://smartregister.org/location-tag-id, https://smartregister.org/practitioner-tag-id,
    https://smartregister.org/care-team-tag-id, https://smartregister.org/organisation-tag-id}';
  displays constant text[] := '{Related Entity Location, Practitioner Location, Practitioner, Practitioner CareTeam,
    Practitioner Organization}';
  tags jsonb := resource #> '{meta,tag}';
  ids text[] := '{null,null,null,null,null}';
  is_twice boolean[] := '{f,f,f,f,f}';
  system text;
  code text;
  kind integer;
begin
  if jsonb_typeof(tags) = 'array' then
    for i in 0 .. jsonb_array_length(tags) - 1 loop
      code := tags -> i ->> 'code';
      system := replace(replace(tags -> i ->> 'system', ' ', ''), 'organization', 'organisation');
      kind := case system when 'https://smartregister.org/' then array_position(displays, tags -> i ->> 'display')
        else array_position(systems, system) end;
      if kind is not null and code <> 'Not defined' then
        is_twice[kind] := is_twice[kind] or (ids[kind] is not null and ids[kind] <> code);
        ids[kind] := code;
      end if;
    end loop;
  end if;
  related_location_id := case when not is_twice[1] then ids[1] end;
  worker_location_id := case when not is_twice[2] then ids[2] end;
  practitioner_id := case when not is_twice[3] then ids[3] end;
  care_team_id := case when not is_twice[4] then ids[4] end;
  organization_id := case when not is_twice[5] then ids[5] end;
end $$;
