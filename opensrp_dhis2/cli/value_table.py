"""Tables of ledger rows for people at a terminal, in REPORT_LANGUAGE; programs get the rows as JSON lines.

It knows how rows look; which rows there are is asked in outbox.py.
"""

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from opensrp_dhis2.cli.console import PlainTable, count, table, words
from opensrp_dhis2.messages.codes import explain
from opensrp_dhis2.report.run import STANDINGS
from opensrp_dhis2.report.value_query import Row


def with_reasons(rows: Iterable[Row], language: str) -> list[Row]:
    """Return the rows, each with the sentence, the owner and the remedy of its code."""
    return [{**row, **_reason(row["code"], language)} for row in rows]


def _reason(code: str | None, language: str) -> dict[str, str | None]:
    said = explain(code, language) if code else None
    return {name: getattr(said, name, None) for name in ("sentence", "owner", "owner_label", "remedy")}


def counts(rows: list[Row]) -> Table:
    """Draw the values by data set, period, state and reason."""
    drawn = _table("data_set", "period", "state", "values", "why", "what_is_wrong")
    for row in rows:
        number = count(row["value_count"])
        drawn.add_row(row["data_set"], row["period"], row["state"], number, row["code"], row["sentence"])
    return drawn


def remedies(rows: list[Row]) -> Table:
    """Draw each reason once: how many values it concerns, who can mend it, and how."""
    drawn = _table("why", "values", "who", "what_to_do")
    for code in sorted({row["code"] for row in rows if row["code"]}):
        concerned = [row for row in rows if row["code"] == code]
        number = count(sum(row["value_count"] for row in concerned))
        drawn.add_row(code, number, concerned[0]["owner_label"], concerned[0]["remedy"])
    return drawn


def completions(rows: list[Row]) -> Table:
    """Draw the units by data set, period and where their completion stands, with who can mend what."""
    drawn = _table("data_set", "period", "completion", "units", "why", "what_to_do")
    for row in rows:
        todo = f"{row['owner_label']}: {row['remedy']}" if row["code"] else ""
        drawn.add_row(row["data_set"], row["period"], row["state"], count(row["unit_count"]), _why(row), todo)
    return drawn


def total(rows: list[Row]) -> str:
    """Return how many values there are, and how many stand where."""
    by_state = {name: sum(row["value_count"] for row in rows if row["state"] == name) for name in STANDINGS}
    said = ", ".join(f"{name} {words().number(number)}" for name, number in by_state.items() if number)
    return words()("count_of_values", count=sum(by_state.values())) + (f" ({said})" if said else "")


def values(rows: list[Row]) -> Table:
    """Draw single values by the names that people know."""
    drawn = _table(
        "value", "data_set", "period", "org_unit", "data_element", "combo", "wanted", "acknowledged", "state", "why"
    )
    for row in rows:
        drawn.add_row(
            str(row["value_id"]), row["data_set"], row["period"], _name(row, "org_unit"), _name(row, "data_element"),
            _combos(row), _wanted(row), row["acknowledged"], row["state"], _why(row),
        )  # fmt: skip
    return drawn


def facts(value: Row) -> Table:
    """Draw one value as it stands now."""
    drawn = PlainTable(box=None, show_header=False, padding=(0, 2, 0, 0))
    told = {
        "value": str(value["value_id"]), "server": value["target"], "data_set": value["data_set"],
        "period": value["period"], "org_unit": _name(value, "org_unit"), "data_element": _name(value, "data_element"),
        "combo": _combos(value), "wanted": _wanted(value), "acknowledged": value["acknowledged"],
        "state": value["state"], "why": _why(value), "who": value["owner_label"], "what_to_do": value["remedy"],
        "attempts": str(value["attempt"]), "wanted_since": _at(value["wanted_at"]),
        "settled_at": _at(value["settled_at"]), "changed_by": value["run_id"],
    }  # fmt: skip
    for head, fact in zip(words().columns(*told), told.values(), strict=True):
        drawn.add_row(head, fact or "-")
    return drawn


def history(rows: list[Row]) -> Table:
    """Draw every change of one value: when, who, from what to what."""
    drawn = _table("when", "who_did", "state", "wanted", "acknowledged", "why", "request", title="history")
    for row in rows:
        changes = (_change(row[f"{name}_from"], row[f"{name}_to"]) for name in ("state", "wanted", "acknowledged"))
        drawn.add_row(_at(row["changed_at"]), row["run_id"], *changes, row["code"], str(row["batch_id"] or ""))
    return drawn


def batches(rows: list[Row]) -> Table:
    """Draw the requests that carried one value."""
    heads = ("request", "sent_at", "settled_at", "strategy", "values", "status", "note", "run")
    drawn = _table(*heads, title="requests_sent")
    for row in rows:
        drawn.add_row(
            str(row["batch_id"]), _at(row["created_at"]), _at(row["settled_at"]), row["import_strategy"],
            str(row["value_count"]), str(row["http_status"] or ""), row["note"], row["run_id"],
        )  # fmt: skip
    return drawn


def _table(*names: str, title: str | None = None) -> Table:
    return table(words().columns(*names), title=words()(title) if title else None)


def _name(row: Row, of: str) -> str:
    names = (row[f"{of}_name"], row[of] or row[f"{of}_id"])
    return " · ".join(dict.fromkeys(name for name in names if name))


def _combos(row: Row) -> str:
    names = (row[of] or row[f"{of}_id"] for of in ("category_option_combo", "attribute_option_combo"))
    return " / ".join(dict.fromkeys(names))


def _wanted(row: Row) -> str | None:
    """Return what is wanted; a deletion that DHIS2 has not confirmed is called one."""
    is_deletion = row["wanted"] is None and row["state"] != "withdrawn"
    return words()("deletion") if is_deletion else row["wanted"]


def _why(row: Row) -> str:
    said = (row["code"], row["sentence"], row["reason"])
    return " · ".join(part for part in said if part)


def _change(before: str | None, after: str | None) -> str:
    return (after or "-") if before == after else f"{before or '-'} → {after or '-'}"


def _at(moment: Any) -> str:
    return moment.isoformat(sep=" ", timespec="seconds") if moment else ""
