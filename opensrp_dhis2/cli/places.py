"""The command `places`: which FHIR Locations are no DHIS2 org unit and lie in none, and why."""

import sys

import click
from rich import box

from opensrp_dhis2.cli.console import PlainTable, opened_warehouse, say
from opensrp_dhis2.cli.value_table import print_json, print_table
from opensrp_dhis2.lookup.place import unmapped_places


@click.command("places")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def places(as_json: bool) -> None:
    """List the Locations without an org unit, by id. Exit code 1 when there are any."""
    with opened_warehouse() as warehouse, warehouse.connect() as connection:
        found = unmapped_places(connection)
    if as_json:
        print_json([dict(zip(("location_id", "name", "reason"), one, strict=True)) for one in found])
    elif found:
        table = PlainTable("Location", "name", "why it has no org unit", box=box.SIMPLE)
        for one in found:
            table.add_row(*one)
        print_table(table)
    else:
        say("Every Location is an org unit or lies in one")
    sys.exit(1 if found else 0)
