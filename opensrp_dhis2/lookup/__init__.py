"""Codes and ids: DHIS2 metadata, places and what each total is called there."""
