-- Where our own FHIR server is: FHIR_BASE_URL, and what the server calls itself. Without http:// or https://, which name
-- the same server, and without a slash at the end. An absolute reference is ours when it begins with one of them.
create table raw.own_address (
  address text primary key              -- fhir.example.org/fhir
);
