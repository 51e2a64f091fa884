"""The commands `views check`, `graph`, `build`, `test` and `touched`."""

import sys
from dataclasses import asdict

import click

from opensrp_dhis2.cli.console import PlainTable, console, old_name, opened_warehouse, read_settings, say
from opensrp_dhis2.outbox.late import touched_by_last_run
from opensrp_dhis2.plain_text import json_line
from opensrp_dhis2.views import contract
from opensrp_dhis2.views.build import build_all
from opensrp_dhis2.views.catalog import graph_mermaid, graph_text, load_catalog, read_catalog
from opensrp_dhis2.views.data_tests import run_tests


@click.group()
def views() -> None:
    """The SQL in dbt_like_views/: check it, draw it, build it, test it."""


@views.command("check")
def views_check() -> None:
    """Check every file without a database: front matter, SQL, what it reads, columns; names file, line and remedy."""
    settings = read_settings()
    catalog, problems = read_catalog(settings.project)
    problems = problems or contract.check(catalog)
    for problem in problems:
        say(str(problem), fg="red", err=True)
    for view in catalog.inactive:
        say(f"{view.path}: inactive, data_sets.yaml has none of {', '.join(view.front_matter.data_set_codes)}")
    if problems:
        sys.exit(1)
    for resource_type in sorted(set(catalog.resource_types) - set(settings.all_resource_types)):
        say(f"{resource_type}: a view reads it, but neither FHIR_RESOURCE_TYPES nor FHIR_WEEKLY_TYPES names it")
    say(f"{len(catalog.views)} views are well formed")


@views.command("graph")
@click.option("--mermaid", is_flag=True, help="As a Mermaid diagram.")
def views_graph(mermaid: bool) -> None:
    """Draw what reads what."""
    catalog = load_catalog(read_settings().project)
    say(graph_mermaid(catalog) if mermaid else graph_text(catalog))


@views.command("build")
def views_build() -> None:
    """Bring every relation up to date in the warehouse."""
    catalog, table = load_catalog(read_settings().project), PlainTable("relation", "rows", "changed", "seconds")
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
        say(f"{result.relation}: {result.test}: {result.failing_count} rows: {result.query}", fg="red", err=True)
    if failed:
        sys.exit(1)
    say(f"{len(results)} tests hold")


@views.command("changed-periods")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def changed_periods(as_json: bool) -> None:
    """Show the past periods that the last run changed, and whether their totals differ from what was planned."""
    settings = read_settings()
    catalog = load_catalog(settings.project)
    with opened_warehouse() as warehouse, warehouse.connect() as connection:
        found = [
            period
            for code in catalog.data_sets.codes
            for period in touched_by_last_run(connection, settings.dhis2_base_url, catalog, code)
        ]
    if as_json:
        say(json_line([asdict(each) for each in found]))
        return
    table = PlainTable("data set", "period", "rows before", "rows now", "a total moved", "values that differ")
    for each in found:
        differs = "never planned" if each.differing_count is None else str(each.differing_count)
        moved = "yes" if each.is_changed else "no"
        table.add_row(each.data_set, each.period, str(each.old_count), str(each.new_count), moved, differs)
    if found:
        console.print(table)
    past = sum(each.old_count + each.new_count > 0 or each.is_changed for each in found)
    say(f"The last run changed rows of {past} past periods.")


views.add_command(old_name(changed_periods, "touched", "views changed-periods"))
