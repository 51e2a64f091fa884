"""1 SOURCE: speaks FHIR, knows no database."""
