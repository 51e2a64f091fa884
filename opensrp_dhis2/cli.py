"""The command line `opensrp-dhis2`: what Dagster's own does not do.

It reads the environment, shows, and turns our errors into one message and an exit code; it decides nothing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from opensrp_dhis2.dhis2.codes import explain
from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.sandbox.server import serve_forever
from opensrp_dhis2.sandbox.start import DISTRICT_METADATA, dhis2_app, fhir_app
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.sources import open_warehouse
from opensrp_dhis2.views import contract
from opensrp_dhis2.views.build import build_all
from opensrp_dhis2.views.catalog import load_catalog, read_catalog
from opensrp_dhis2.views.data_tests import run_tests
from opensrp_dhis2.views.drawing import graph_mermaid, graph_text
from opensrp_dhis2.warehouse.database import Warehouse

console = Console()


class _Group(click.Group):
    """Shows an error of ours as one message; anything else is a defect and keeps its traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except OpenSrpDhis2Error as error:
            if context.params.get("traceback"):
                raise
            click.secho(f"Error: {error}", fg="red", err=True)
            sys.exit(1)


@click.group(cls=_Group)
@click.option("--traceback", is_flag=True, help="Show where in the code an error came from.")
def main(traceback: bool) -> None:
    """OpenSRP 2 (FHIR R4) to DHIS2: totals, never people; every value with a verdict.

    Settings come from the environment; .env.example lists them all.
    """


@main.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of FHIR NDJSON.")
def demo(data: Path | None) -> None:
    """Run the whole chain against the sandbox servers and show what it did."""
    from opensrp_dhis2.demo import demo_environment, run_demo, sandbox_environment

    os.environ.update(sandbox_environment() | demo_environment(data, os.environ))
    if not run_demo(data, _settings(), console):
        sys.exit(1)


@main.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of FHIR NDJSON.")
def dev(data: Path | None) -> None:
    """Open Dagster's webserver and daemon, with the sandbox servers behind them."""
    from opensrp_dhis2.demo import demo_environment, sandbox

    os.environ.update(demo_environment(data, os.environ))
    os.environ.setdefault("DAGSTER_HOME", str(Path(".data/dagster").absolute()))
    Path(os.environ["DAGSTER_HOME"]).mkdir(parents=True, exist_ok=True)
    with sandbox(data, _settings(), console):
        subprocess.run([str(Path(sys.executable).parent / "dagster"), "dev"], check=False)  # noqa: S603


@main.group()
def sandbox() -> None:
    """Servers on loopback that answer as real ones were recorded to do."""


@sandbox.command("fhir")
@click.option("--port", default=8180, show_default=True)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def sandbox_fhir(port: int, data: Path) -> None:
    """Serve a folder of FHIR NDJSON (also gzipped) or transaction Bundles, as HAPI FHIR 8 does."""
    serve_forever(fhir_app(data, data), port)


@sandbox.command("dhis2")
@click.option("--port", default=8181, show_default=True)
@click.option("--version", type=click.Choice(["2.41", "2.43"]), default="2.43", show_default=True)
@click.option("--metadata", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=DISTRICT_METADATA)
@click.option("--clock", help="The server's instant, for example 2026-11-21T12:00:00+00:00; default: now.")
@click.option("--store", type=click.Path(dir_okay=False, path_type=Path), help="SQLite file for its state.")
def sandbox_dhis2(port: int, version: str, metadata: Path, clock: str | None, store: Path | None) -> None:
    """Serve DHIS2's Web API, with the import engine of 2.41 or of 2.43."""
    serve_forever(dhis2_app(metadata, store, version, clock), port)


@main.group()
def views() -> None:
    """The SQL in dbt_like_views/: check it, draw it, build it, test it."""


@views.command("check")
def views_check() -> None:
    """Check every file without a database: front matter, SQL, what it reads, columns; names file, line and remedy."""
    catalog, problems = read_catalog(_settings().project)
    problems = problems or contract.check(catalog)
    for problem in problems:
        click.secho(str(problem), fg="red", err=True)
    for view in catalog.inactive:
        console.print(
            f"{view.path}: inactive, data_sets.yaml has none of {', '.join(view.front_matter.data_set_codes)}"
        )
    if problems:
        sys.exit(1)
    console.print(f"{len(catalog.views)} views are well formed")


@views.command("graph")
@click.option("--mermaid", is_flag=True, help="As a Mermaid diagram.")
def views_graph(mermaid: bool) -> None:
    """Draw what reads what."""
    catalog = load_catalog(_settings().project)
    click.echo(graph_mermaid(catalog) if mermaid else graph_text(catalog))


@views.command("build")
def views_build() -> None:
    """Bring every relation up to date in the warehouse."""
    catalog, table = load_catalog(_settings().project), Table("relation", "rows", "changed", "seconds")
    with _warehouse() as warehouse:
        for result in build_all(warehouse, catalog):
            table.add_row(result.name, str(result.rows), str(result.changed), f"{result.seconds:.2f}")
    console.print(table)


@views.command("test")
def views_test() -> None:
    """Run the tests of the front matters; a failing one shows the query for its rows."""
    catalog = load_catalog(_settings().project)
    with _warehouse() as warehouse:
        results = run_tests(warehouse, catalog)
    failed = [result for result in results if result.failing_count]
    for result in failed:
        click.secho(
            f"{result.relation}: {result.test}: {result.failing_count} rows: {result.query}", fg="red", err=True
        )
    if failed:
        sys.exit(1)
    console.print(f"{len(results)} tests hold")


@main.group()
def outbox() -> None:
    """Where every value stands that should be in DHIS2."""


@outbox.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def outbox_status(as_json: bool) -> None:
    """Count the values by data set, period, state and reason."""
    with _warehouse() as warehouse, warehouse.connect() as connection:
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
    with _warehouse() as warehouse, warehouse.connect() as connection:
        count = ledger.requeue(connection, _settings().dhis2_base_url, data_set_code=data_set, period=period)
    console.print(f"{count} refused values are pending again")


@contextmanager
def _warehouse() -> Iterator[Warehouse]:
    opened = open_warehouse(_settings())
    try:
        yield opened
    finally:
        opened.close()


def _settings() -> Settings:
    return Settings.from_mapping(os.environ)
