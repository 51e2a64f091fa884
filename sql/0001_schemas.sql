-- One schema a stage: psql's \dn shows the picture of the README.
create schema if not exists raw;        -- FHIR resources as received
create schema if not exists staging;    -- one typed row a resource
create schema if not exists member;     -- what each indicator counts
create schema if not exists indicator;  -- its totals
create schema if not exists lookup;     -- DHIS2's ids, the calendar, places
create schema if not exists outbox;     -- one row a value, and where it stands
create schema if not exists fhir;       -- functions that read FHIR's JSON
