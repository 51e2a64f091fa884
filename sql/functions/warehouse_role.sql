-- Who may read what: the role opensrp_reporting reads totals, DHIS2's names and the ledger, never raw, staging, member.

-- Let the role opensrp_reporting read; nothing is done where the cluster does not have it. To be called again, by the
-- account that builds, after an administrator has made the role.
-- The relations that a build drops and makes anew are readable through default privileges of the account that builds.
create or replace function warehouse.allow_reporting()
returns boolean language plpgsql as $$
declare
  open_schema text;
begin
  if not exists (select from pg_roles where rolname = 'opensrp_reporting') then return false; end if;
  foreach open_schema in array array['indicator', 'lookup', 'outbox'] loop
    execute format('grant usage on schema %I to opensrp_reporting', open_schema);
    execute format('grant select on all tables in schema %I to opensrp_reporting', open_schema);
    execute format('alter default privileges in schema %I grant select on tables to opensrp_reporting', open_schema);
  end loop;
  grant usage on schema fhir to opensrp_reporting;  -- indicator.left_out calls them; they read no table
  revoke all on schema raw, staging, member from public, opensrp_reporting;
  return true;
end $$;

-- Roles belong to the whole cluster: another database may have made it, or be making it just now.
do $$
begin
  if not exists (select from pg_roles where rolname = 'opensrp_reporting') then
    create role opensrp_reporting nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;
  when insufficient_privilege then
    raise notice 'this account may not create roles: let an administrator run "create role opensrp_reporting nologin", '
      'then run "select warehouse.allow_reporting()" with this account';
end $$;

select warehouse.allow_reporting();
