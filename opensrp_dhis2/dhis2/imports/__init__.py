"""What DHIS2 answers to an import, read into one verdict for each value."""
