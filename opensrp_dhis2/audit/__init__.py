"""DHIS2 held to the ledger: what the next report will do, and what stands there otherwise."""
