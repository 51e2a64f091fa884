"""The command `places`: which FHIR Locations are no DHIS2 org unit and lie in none, and why."""

import sys

import click

from opensrp_dhis2.cli.console import opened_warehouse, print_json, print_table, say, table, words
from opensrp_dhis2.lookup.place import unmapped_places


@click.command("places")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def places(as_json: bool) -> None:
    """List the Locations without an org unit, by id. Exit code 1 when there are any."""
    with opened_warehouse() as warehouse, warehouse.connect() as connection:
        found = unmapped_places(connection)
    if as_json:
        print_json([dict(zip(("location_id", "name", "reason"), place, strict=True)) for place in found])
    elif found:
        drawn = table(words().columns("location", "name", "no_unit"))
        for place in found:
            drawn.add_row(*place)
        print_table(drawn)
    else:
        say(words()("all_places"))
    sys.exit(1 if found else 0)
