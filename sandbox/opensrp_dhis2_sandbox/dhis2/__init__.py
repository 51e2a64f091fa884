"""A DHIS2 server on loopback, with the import engines of 2.41 and of 2.43."""
