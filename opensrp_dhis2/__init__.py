"""Carry totals from OpenSRP 2 (FHIR R4) to DHIS2: no number lost, sent twice, or silently changed."""
