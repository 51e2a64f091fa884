"""The commands `views check`, `graph`, `build` and `test`."""

import sys

import click
from rich.table import Table

from opensrp_dhis2.cli.console import console, opened_warehouse, read_settings
from opensrp_dhis2.views import contract
from opensrp_dhis2.views.build import build_all
from opensrp_dhis2.views.catalog import load_catalog, read_catalog
from opensrp_dhis2.views.data_tests import run_tests
from opensrp_dhis2.views.drawing import graph_mermaid, graph_text


@click.group()
def views() -> None:
    """The SQL in dbt_like_views/: check it, draw it, build it, test it."""


@views.command("check")
def views_check() -> None:
    """Check every file without a database: front matter, SQL, what it reads, columns; names file, line and remedy."""
    catalog, problems = read_catalog(read_settings().project)
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
    catalog = load_catalog(read_settings().project)
    click.echo(graph_mermaid(catalog) if mermaid else graph_text(catalog))


@views.command("build")
def views_build() -> None:
    """Bring every relation up to date in the warehouse."""
    catalog, table = load_catalog(read_settings().project), Table("relation", "rows", "changed", "seconds")
    with opened_warehouse() as warehouse:
        for result in build_all(warehouse, catalog):
            table.add_row(result.name, str(result.rows), str(result.changed), f"{result.seconds:.2f}")
    console.print(table)


@views.command("test")
def views_test() -> None:
    """Run the tests of the front matters; a failing one shows the query for its rows."""
    catalog = load_catalog(read_settings().project)
    with opened_warehouse() as warehouse:
        results = run_tests(warehouse, catalog)
    failed = [result for result in results if result.failing_count]
    for result in failed:
        click.secho(
            f"{result.relation}: {result.test}: {result.failing_count} rows: {result.query}", fg="red", err=True
        )
    if failed:
        sys.exit(1)
    console.print(f"{len(results)} tests hold")
