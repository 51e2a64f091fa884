"""raw.own_address: at which addresses our own FHIR server stands, so that absolute references to it are known as ours.

It knows one table; what a reference is, fhir.reference_id knows.
"""

from opensrp_dhis2.warehouse.database import Connection


def remember(connection: Connection, *urls: str) -> None:
    """Add addresses of our own server; what was one before stays one, for references to it are stored."""
    addresses = [url.partition("://")[2].rstrip("/") for url in urls]
    connection.execute(
        "insert into raw.own_address select unnest(%s::text[]) on conflict do nothing",
        ([one for one in addresses if one],),
    )
