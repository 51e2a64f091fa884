"""What a view owes its readers: the columns and types that totals, keys and tests need.

It knows the contract of staging and indicator views; `check` asks the files, `describe` asks Postgres, before any DDL.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from opensrp_dhis2.errors import ViewContractError, ViewError
from opensrp_dhis2.views.catalog import Catalog, View
from opensrp_dhis2.views.query import RAW_TABLES
from opensrp_dhis2.warehouse.database import Connection

MEMBER_COLUMNS = {"org_unit_id": "text", "event_on": "date", "resource_type": "text", "resource_id": "text"}
SUMMABLE = ("int2", "int4", "int8", "numeric")


def check(catalog: Catalog) -> list[ViewError]:
    """List what can be said against the views without a database."""
    return [problem for view in catalog.views for problem in _check_view(view)]


def _check_view(view: View) -> Iterator[ViewError]:
    if view.kind == "staging":
        others = [name for name in view.reads if name not in RAW_TABLES]
        if others or len(view.reads) != 1:
            yield ViewContractError(
                "a staging view reads exactly one raw table, so that it can be kept up by key: "
                f"this one reads {', '.join(view.reads) or 'none'}",
                path=view.path,
                line=view.reads[others[0]] if others else None,
            )
    if view.columns is None:
        return
    doubled = sorted({name for name in view.columns if view.columns.count(name) > 1})
    if doubled:
        yield ViewContractError(f"column {', '.join(doubled)} stands twice: rename one", path=view.path)
    for name, reason in needed_columns(view).items():
        if name not in view.columns:
            yield ViewContractError(f"column {name} is missing ({reason}): select it", path=view.path)


def needed_columns(view: View) -> dict[str, str]:
    """Return every column that the view must have, and why."""
    front, needed = view.front_matter, dict[str, str]()
    if view.kind == "staging":
        needed[front.key] = "the key"
        needed |= {column: "an index names it" for index in front.indexes for column in index}
    else:
        needed |= dict.fromkeys(MEMBER_COLUMNS, "every indicator gives it")
        needed |= dict.fromkeys(front.disaggregation, "the disaggregation names it")
        for name, measure in front.measures.items():
            needed |= dict.fromkeys(measure.columns, f"measure {name} names it")
    if front.tests:
        flat = [column for entry in front.tests.unique for column in ([entry] if isinstance(entry, str) else entry)]
        tested = [*front.tests.not_null, *flat, *front.tests.accepted_values, *front.tests.relationships]
        needed = dict.fromkeys(tested, "a test names it") | needed
    return needed


def describe(connection: Connection, view: View) -> dict[str, str]:
    """Ask Postgres for the columns and types of a view's SQL and hold them to the contract.

    Raises: ViewContractError with path and line, before anything is made.
    """
    statement = f"select * from (\n{view.sql}\n) as v limit 0"  # noqa: S608 - the file's own SQL
    with translated_refusal(view, statement), connection.transaction():
        found = connection.execute(statement).description or []
        types = {column.name: column.type_display for column in found}
    for name, reason in needed_columns(view).items():
        if name not in types:
            raise ViewContractError(f"column {name} is missing ({reason}): select it", path=view.path)
    for name, wanted in _wanted_types(view, types).items():
        if name in types and types[name].split("(")[0] not in wanted:
            raise ViewContractError(
                f"column {name} is {types[name]}, not {' or '.join(wanted)}: cast it", path=view.path
            )
    return types


def _wanted_types(view: View, types: dict[str, str]) -> dict[str, tuple[str, ...]]:
    front = view.front_matter
    if view.kind == "staging":
        return {front.key: ("text",)}
    wanted: dict[str, tuple[str, ...]] = {name: (kind,) for name, kind in MEMBER_COLUMNS.items()}
    wanted |= dict.fromkeys([*front.disaggregation, "period_type"], ("text",))
    for measure in front.measures.values():
        if measure.sum:
            wanted[measure.sum] = SUMMABLE
        if measure.where:
            wanted[measure.where] = ("bool",)
    return wanted


@contextmanager
def translated_refusal(view: View, statement: str = "") -> Iterator[None]:
    """Raise ViewContractError with path and line where Postgres refuses a view; a message about data is not repeated.

    Trouble of the server passes through. Args: the statement that holds the view's SQL, by which the line is found.
    """
    try:
        yield
    except psycopg.OperationalError:
        raise
    except psycopg.Error as problem:
        state, position = problem.diag.sqlstate or "", problem.diag.statement_position
        said = problem.diag.message_primary if state.startswith("42") else type(problem).__name__
        before = max(statement.find(view.sql), 0)
        line = view.sql.count("\n", 0, max(int(position) - 1 - before, 0)) + 1 if position else None
        raise ViewContractError(f"Postgres refuses it: {said}. Correct the SQL", path=view.path, line=line) from None
