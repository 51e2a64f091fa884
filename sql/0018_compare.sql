-- What differs between the source and raw, told more exactly: what was expunged and written anew, and what was refused.
-- An expunged resource that comes back is known by its stamp: its number may have grown to the old one again.

-- Compare the temporary table `seen` with a raw table. A difference is
-- gone: alive here, unknown there;  missing: there, and not here or deleted here;  older: an older version here;
-- restarted: no higher version there, written later: the resource was expunged and its number began anew;
-- retagged: the same version with other tags ($meta-add makes no version; where the source tells no tags, none differ).
create or replace function raw.compare_seen(table_name text)
returns table (id text, version_id bigint, difference text) language plpgsql as $$
begin
  return query execute format(
    'with there as (
       select distinct on (s.id) s.* from seen s order by s.id, s.last_updated desc, s.version_id desc
     ), compared as (
       select coalesce(r.id, t.id) as id, coalesce(r.version_id, t.version_id) as version_id,
         case
           when t.id is null then case when not r.is_deleted then ''gone'' end
           when r.id is null then ''missing''
           when t.version_id <= r.version_id and t.last_updated > r.last_updated then ''restarted''
           when t.version_id < r.version_id then null
           when r.is_deleted then ''missing''
           when t.version_id > r.version_id then ''older''
           when t.tags_md5 <> raw.tags_md5(r.resource) then ''retagged''
         end as difference
       from raw.%1$I r full join there t on t.id = r.id
     )
     select c.id, c.version_id, c.difference from compared c where c.difference is not null order by c.id', table_name);
end $$;

-- Compare the temporary table `listed`, all that the source has of a type, with a raw table. A finding is
-- missing: there and not here;  stale: newer there;  rejected: there, and refused here since the last that was taken;
-- gone: here and not there;  not_due: missing or stale, but written after the watermark, so that the next run reads it.
create or replace function raw.compare_listed(table_name text, of_type text, read_to timestamptz, began_at timestamptz)
returns table (finding text, finding_count bigint, ids text[]) language plpgsql as $$
begin
  return query execute format(
    'with found as (
       select l.id, case
         when $1 is null or l.last_updated >= $1 then ''not_due''
         when exists (
           select from raw.rejected j where j.resource_type = $2 and coalesce(j.id, '''') = l.id
             and (r.id is null or r.is_deleted or j.load_id > r.load_id)
         ) then ''rejected''
         when r.id is null or r.is_deleted then ''missing''
         else ''stale'' end as finding
       from listed l left join raw.%1$I r on r.id = l.id
       where r.id is null or r.is_deleted or r.version_id < l.version_id
       union all
       select r.id, ''gone'' from raw.%1$I r
       where not r.is_deleted and r.last_updated < $3 and not exists (select from listed l where l.id = r.id)
     )
     select f.finding, count(*), (array_agg(f.id order by f.id))[1:20] from found f group by f.finding',
    table_name) using read_to, of_type, began_at;
end $$;
