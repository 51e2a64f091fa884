"""Tables of ledger rows for people at a terminal, and the same rows as JSON lines for programs.

It knows columns; it refuses to know where rows come from.
"""

import sys
from collections.abc import Iterable
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from opensrp_dhis2.cli.console import PlainTable
from opensrp_dhis2.messages.codes import explain
from opensrp_dhis2.plain_text import json_line
from opensrp_dhis2.report.run import STANDINGS
from opensrp_dhis2.report.value_query import Row

PIPE_WIDTH = 10_000  # into a pipe or a file every row stays one line, however long


def with_reasons(rows: Iterable[Row], language: str) -> list[Row]:
    """Put the sentence, the owner and the remedy of its code into each row."""
    return [{**row, **_reason(row["code"], language)} for row in rows]


def _reason(code: str | None, language: str) -> dict[str, str | None]:
    said = explain(code, language) if code else None
    return {name: getattr(said, name, None) for name in ("sentence", "owner", "owner_label", "remedy")}


def print_json(rows: Iterable[Row]) -> None:
    """Print one JSON object a line."""
    for row in rows:
        click.echo(json_line(row))


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal; elsewhere as wide as it needs, so that nothing is cut off."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)


def counts(rows: list[Row]) -> Table:
    """Draw the values by data set, period, state and reason."""
    table = _table("data set", "period", "state", "values", "why", "what is wrong", numbers=("values",))
    for row in rows:
        table.add_row(
            row["data_set"], row["period"], row["state"], f"{row['value_count']:,}", row["code"], row["sentence"]
        )
    return table


def remedies(rows: list[Row]) -> Table:
    """Draw each reason once: how many values it concerns, who can mend it, and how."""
    table = _table("why", "values", "who can mend it", "what to do", numbers=("values",))
    for code in sorted({row["code"] for row in rows if row["code"]}):
        concerned = [row for row in rows if row["code"] == code]
        count = sum(row["value_count"] for row in concerned)
        table.add_row(code, f"{count:,}", concerned[0]["owner_label"], concerned[0]["remedy"])
    return table


def completions(rows: list[Row]) -> Table:
    """Draw the units by data set, period and where their completion stands, with who can mend what."""
    table = _table("data set", "period", "completion", "units", "why", "what to do", numbers=("units",))
    for row in rows:
        todo = f"{row['owner_label']}: {row['remedy']}" if row["code"] else ""
        table.add_row(row["data_set"], row["period"], row["state"], f"{row['unit_count']:,}", _why(row), todo)
    return table


def total(rows: list[Row]) -> str:
    """Return how many values there are, and how many stand where."""
    by_state = {name: sum(row["value_count"] for row in rows if row["state"] == name) for name in STANDINGS}
    said = ", ".join(f"{name} {count:,}" for name, count in by_state.items() if count)
    return f"{sum(by_state.values()):,} values" + (f" ({said})" if said else "")


def values(rows: list[Row]) -> Table:
    """Draw single values by the names that people know."""
    table = _table(
        "value", "data set", "period", "org unit", "data element", "combo", "wanted", "acknowledged", "state", "why"
    )
    for row in rows:
        table.add_row(
            str(row["value_id"]), row["data_set"], row["period"], _name(row, "org_unit"), _name(row, "data_element"),
            _combos(row), _wanted(row), row["acknowledged"], row["state"], _why(row),
        )  # fmt: skip
    return table


def facts(value: Row) -> Table:
    """Draw one value as it stands now."""
    table = PlainTable(box=None, show_header=False, padding=(0, 2, 0, 0))
    told = {
        "value": str(value["value_id"]), "server": value["target"], "data set": value["data_set"],
        "period": value["period"], "org unit": _name(value, "org_unit"), "data element": _name(value, "data_element"),
        "combo": _combos(value), "wanted": _wanted(value), "acknowledged": value["acknowledged"],
        "state": value["state"], "why": _why(value), "who can mend it": value["owner_label"], "what to do": value["remedy"],
        "attempts": str(value["attempt"]), "wanted since": _at(value["wanted_at"]),
        "settled": _at(value["settled_at"]), "last changed by": value["run_id"],
    }  # fmt: skip
    for name, fact in told.items():
        table.add_row(name, fact or "-")
    return table


def history(rows: list[Row]) -> Table:
    """Draw every change of one value: when, who, from what to what."""
    table = _table("when", "who", "state", "wanted", "acknowledged", "why", "request", title="History")
    for row in rows:
        changes = (_change(row[f"{name}_from"], row[f"{name}_to"]) for name in ("state", "wanted", "acknowledged"))
        table.add_row(_at(row["changed_at"]), row["run_id"], *changes, row["code"], str(row["batch_id"] or ""))
    return table


def batches(rows: list[Row]) -> Table:
    """Draw the requests that carried one value."""
    table = _table("request", "sent", "settled", "strategy", "values", "status", "note", "run", title="Requests")
    for row in rows:
        table.add_row(
            str(row["batch_id"]), _at(row["created_at"]), _at(row["settled_at"]), row["import_strategy"],
            str(row["value_count"]), str(row["http_status"] or ""), row["note"], row["run_id"],
        )  # fmt: skip
    return table


def _table(*names: str, numbers: tuple[str, ...] = (), title: str | None = None) -> Table:
    table = PlainTable(box=box.SIMPLE, title=title, title_justify="left")
    for name in names:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return table


def _name(row: Row, of: str) -> str:
    names = (row[f"{of}_name"], row[of] or row[f"{of}_id"])
    return " · ".join(dict.fromkeys(name for name in names if name))


def _combos(row: Row) -> str:
    names = (row[of] or row[f"{of}_id"] for of in ("category_option_combo", "attribute_option_combo"))
    return " / ".join(dict.fromkeys(names))


def _wanted(row: Row) -> str | None:
    """Return what is wanted; a deletion that DHIS2 has not confirmed is called one."""
    is_deletion = row["wanted"] is None and row["state"] != "withdrawn"
    return "(to be deleted)" if is_deletion else row["wanted"]


def _why(row: Row) -> str:
    said = (row["code"], row["sentence"], row["reason"])
    return " · ".join(part for part in said if part)


def _change(before: str | None, after: str | None) -> str:
    return (after or "-") if before == after else f"{before or '-'} → {after or '-'}"


def _at(moment: Any) -> str:
    return moment.isoformat(sep=" ", timespec="seconds") if moment else ""
