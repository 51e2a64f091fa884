"""4 OUTBOX: from indicator rows to values DHIS2 has acknowledged."""
