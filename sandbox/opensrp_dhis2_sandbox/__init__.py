"""A FHIR server and a DHIS2 server on loopback, for the demo and the tests; no part of the product."""
