"""A FHIR server on loopback that answers as HAPI FHIR does."""
