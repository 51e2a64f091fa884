"""5 TARGET: speaks the DHIS2 Web API, knows no database."""
