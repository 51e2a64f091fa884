"""The commands below `extract`: how far each type is, whether all of it is here, and past days read again.

It asks and prints; exit code 1 says that something is missing.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from opensrp_dhis2.cli.console import (
    PlainTable,
    old_name,
    opened_warehouse,
    print_json,
    print_table,
    read_settings,
    say,
)
from opensrp_dhis2.connections import extraction, open_fhir, open_source
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.extract import TypeResult, Verification, resweep, verify
from opensrp_dhis2.extract.search import RESWEEP_DAYS
from opensrp_dhis2.fhir.gateway import TypeProbe, probe
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse import loaded_file, state

Row = Mapping[str, Any]
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
types_argument = click.argument("resource_types", metavar="[TYPE]...", nargs=-1)
FINDINGS = ("missing", "stale", "gone", "rejected", "not_due", "unlisted")
progress_console = Console(stderr=True)  # so that a pipe gets the result alone
RESULTS = ("read", "inserted", "updated", "slices", "incomplete", "repaired", "late", "changed", "deleted", "missing")


@click.group()
def extract() -> None:
    """How complete the FHIR resources in the warehouse are."""


@extract.command("status")
@types_argument
@json_option
def extract_status(resource_types: tuple[str, ...], as_json: bool) -> None:
    """Show how far each TYPE has been read, how fast it goes, and what is missing; default: all."""
    settings = read_settings()
    with opened_warehouse() as warehouse, open_fhir(settings) as client, warehouse.connect() as connection:
        source = open_source(settings, warehouse, client).name
        files = [file for name in resource_types or settings.all_resource_types
                 for file in loaded_file.certificates(connection, source, name)]  # fmt: skip
        rows = state.status(connection, source, resource_types)
        types = dict.fromkeys(row["resource_type"] for row in rows)
        incomplete = [{"resource_type": t, **row} for t in types for row in state.incomplete(connection, source, t)]
        refused = [(t, *rejected) for t in types for rejected in state.outstanding(connection, t)]
    if as_json:
        print_json([*(dict(row) | {"seconds_left": seconds_left(row)} for row in rows), *files])
        return
    if files:
        print_table(_files(files))
    if rows or not files:
        print_table(_progress_table(rows))
    for row in incomplete:
        ids = "".join(f" {each}" for each in row["missing_ids"])
        say(f"{row['resource_type']} {row['window_from']} to {row['window_to']}: {row['missing_count']} missing{ids}")
    for resource_type, resource_id, reason in refused:
        say(f"{resource_type} {resource_id} was not given whole: {reason}")
    if not rows and not files:
        say(f"Nothing has been read from {source} yet")


@extract.command("verify")
@types_argument
@json_option
def extract_verify(resource_types: tuple[str, ...], as_json: bool) -> None:
    """Compare all ids and versions of each TYPE with the source; nothing is written. Default: all types."""
    settings, found = _server_settings(), list[Verification]()
    with opened_warehouse() as warehouse, open_fhir(settings) as client:
        for resource_type in resource_types or settings.all_resource_types:
            with progress_console.status(f"comparing {resource_type}"):
                found.append(verify(client, warehouse, resource_type))
    if as_json:
        print_json([asdict(row) | {"is_complete": row.is_complete} for row in found])
    else:
        print_table(_counts([asdict(row) for row in found], ("source_count", *FINDINGS)))
        for row in found:
            for finding, ids in row.ids.items():
                say(f"{row.resource_type} {finding}: {' '.join(ids)}")
    if not all(row.is_complete for row in found):
        sys.exit(1)


@extract.command("reread")
@types_argument
@click.option("--days", type=click.FloatRange(min=0, min_open=True), default=RESWEEP_DAYS, show_default=True)
@json_option
def extract_reread(resource_types: tuple[str, ...], days: float, as_json: bool) -> None:
    """Read the last days of each TYPE again, in slices with certificates. Default: all types."""
    settings, found = _server_settings(), list[TypeResult]()
    how = extraction(settings)
    with opened_warehouse() as warehouse, open_fhir(settings) as client, _progress() as progress:
        for resource_type in resource_types or settings.all_resource_types:
            task = progress.add_task(resource_type, total=None, rate="")
            found.append(resweep(client, warehouse, resource_type, how, days, _shown(progress, task)))
            progress.update(task, visible=False)
    if as_json:
        print_json([asdict(row) for row in found])
    else:
        print_table(_counts([asdict(row) for row in found], RESULTS))
    if any(row.incomplete for row in found):
        sys.exit(1)


extract.add_command(old_name(extract_reread, "resweep", "extract reread"))


@extract.command("probe")
@types_argument
@json_option
def extract_probe(resource_types: tuple[str, ...], as_json: bool) -> None:
    """Ask the server or its gateway what it lets us do with each TYPE; nothing is read. Default: all types."""
    settings, tokens = _server_settings(), list[str]()
    with open_fhir(settings, judge=tokens.append) as client:
        types = resource_types or settings.all_resource_types
        said, found = probe(client, types, settings.fhir_expected_counts, tokens)
    if as_json:
        print_json([asdict(row) for row in found])
    else:
        say(said)
        print_table(_probed(found))
    if any(row.is_refused for row in found):
        sys.exit(1)


def _server_settings() -> Settings:
    settings = read_settings()
    if not settings.reads_fhir_server:
        raise ConfigurationError(
            f"FHIR_SOURCE is {settings.fhir_source}: there is no FHIR server to ask; `extract status` shows what was read"
        )
    return settings


def seconds_left(row: Row) -> int | None:
    """Say how long a type's unfinished slices take at the pace of their plan; none when no pace is known."""
    rate = row["resources_per_second"]
    return round(row["remaining_count"] / rate) if rate and row["unfinished_count"] else None


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    return Progress(*columns, TimeRemainingColumn(), console=progress_console, transient=True)


def _shown(progress: Progress, task: Any) -> Any:
    def show(done: int, planned: int) -> None:
        progress.update(task, advance=done, total=planned)
        speed = progress.tasks[task].speed
        progress.update(task, rate=f"{speed:,.0f}/s" if speed else "")

    return show


def _progress_table(rows: Sequence[Row]) -> Table:
    table = PlainTable(
        "type", "kind", "complete to", "slices", "unfinished", "per second", "left", "missing", box=box.SIMPLE
    )
    for row in rows:
        left, rate = seconds_left(row), row["resources_per_second"]
        table.add_row(
            row["resource_type"], row["kind"], f"{row['read_to']:%Y-%m-%d %H:%M:%S}" if row["read_to"] else "never",
            f"{row['certified_count']:,}", f"{row['unfinished_count']:,} ({row['remaining_count']:,} resources)",
            f"{rate:,.0f}" if rate else "", "" if left is None else f"{left:,} s", f"{row['missing_count']:,}",
        )  # fmt: skip
    return table


def _files(files: Sequence[Row]) -> Table:
    names = ("line", "inserted", "updated", "unchanged", "rejected")
    table = PlainTable(
        "file", "state", "loaded at", *(f"{name}s" if name == "line" else name for name in names), box=box.SIMPLE
    )
    for row in files:
        counts = ("" if row[f"{name}_count"] is None else f"{row[f'{name}_count']:,}" for name in names)
        state = f"{row['state']}: {row['reason']}" if row["reason"] else row["state"]
        table.add_row(row["file_name"], state, f"{row['loaded_at']:%Y-%m-%d %H:%M:%S}", *counts)
    return table


def _probed(found: Sequence[TypeProbe]) -> Table:
    table = PlainTable("type", "may read", "counted", "expected", "history", "$export", "what to do", box=box.SIMPLE)
    for row in found:
        counted, expected = ("" if number is None else f"{number:,}" for number in (row.counted, row.expected))
        table.add_row(
            row.resource_type, row.may_read, counted, expected, row.history, row.export, row.what_to_do
        )  # fmt: skip
    return table


def _counts(rows: Sequence[Row], names: Sequence[str]) -> Table:
    table = PlainTable("type", *(name.replace("_", " ") for name in names), box=box.SIMPLE)
    for row in rows:
        table.add_row(row["resource_type"], *(f"{row[name]:,}" for name in names))
    return table
