"""The commands below `outbox`: where every value stands, why, and what to do."""

import json
from getpass import getuser

import click
from rich.table import Table

from opensrp_dhis2.cli.console import console, opened_warehouse, read_settings
from opensrp_dhis2.dhis2.codes import explain
from opensrp_dhis2.outbox import ledger


@click.group()
def outbox() -> None:
    """Where every value stands that should be in DHIS2."""


@outbox.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def outbox_status(as_json: bool) -> None:
    """Count the values by data set, period, state and reason."""
    with opened_warehouse() as warehouse, warehouse.connect() as connection:
        rows = ledger.status(connection)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, default=str))
        return
    table = Table("data set", "period", "state", "values", "why", "who can mend it, and how")
    for row in rows:
        table.add_row(row["data_set"], row["period"], row["state"], str(row["value_count"]), *_why(row["code"]))
    console.print(table)


def _why(code: str | None) -> tuple[str, str]:
    if not code:
        return "", ""
    said = explain(code)
    return f"{code}: {said.sentence}", f"{said.owner}: {said.remedy}"


@outbox.command("requeue")
@click.option("--data-set", help="DHIS2 code of the data set; default: all.")
@click.option("--period", help="DHIS2 period, for example 202401; default: all.")
def outbox_requeue(data_set: str | None, period: str | None) -> None:
    """Put refused values back to pending, once their cause is mended; the next report sends them."""
    with opened_warehouse() as warehouse, warehouse.connect() as connection:
        count = ledger.requeue(
            connection,
            read_settings().dhis2_base_url,
            data_set_code=data_set,
            period=period,
            run_id=f"requeue by {getuser()}",
        )
    console.print(f"{count} refused values are pending again")
