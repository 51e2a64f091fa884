"""Member lists and their totals: made, made anew when what they stand on was, refreshed when their inputs changed.

It knows the order in which views stand on each other; it refuses to know how staging is kept up.
"""

from collections.abc import Collection

from psycopg.sql import SQL

from opensrp_dhis2.views.catalog import Catalog, View
from opensrp_dhis2.views.contract import describe, translated_refusal
from opensrp_dhis2.views.relation import (
    Relation,
    content_digest,
    count_rows,
    digest,
    forget,
    functions_digest,
    left_out_view,
    member_view,
    read_relations,
    record,
    relation,
    scalar,
    totals_index,
    totals_query,
    totals_view,
    value_view,
)
from opensrp_dhis2.warehouse.database import Connection

VALUE, LEFT_OUT = "indicator.value", "indicator.left_out"


def definition(catalog: Catalog, view: View) -> str:
    """Digest what an indicator is made from: its file and the composed totals."""
    totals = [
        totals_query(view, catalog.period_types(view), has_period_type=choice).as_string(None)
        for choice in (False, True)
    ]
    return digest(view.sql, *totals)


def inputs_digest(connection: Connection, catalog: Catalog, view: View) -> str:
    """Digest the state of everything an indicator reads, itself or through other lists."""
    built, reads = read_relations(connection), set[str]()
    waiting = [view]
    while waiting:
        reads |= waiting[0].depends_on
        waiting += [other for other in catalog.indicators if other.provides in waiting[0].depends_on]
        waiting.pop(0)
    parts: list[object] = [functions_digest(connection), content_digest(connection, "lookup.period")]
    for name in sorted(reads):
        if name in built:
            parts += [name, built[name].checksum, built[name].load_id]
        elif name.startswith("raw."):
            parts += [name, scalar(connection, SQL("select max(load_id) from {}").format(relation(name)))]
        elif not name.startswith("member."):
            parts += [name, content_digest(connection, name)]
    if any("fhir.today" in indicator.sql for indicator in catalog.indicators):
        parts.append(scalar(connection, SQL("select fhir.today()")))
    return digest(*parts)


def drop_dependents(connection: Connection, catalog: Catalog, names: Collection[str]) -> None:
    """Drop the lists and totals that stand on these relations, or are them.

    From the top down, in the order in which a reader locks them: the other way round, both would wait for each other.
    """
    connection.execute(SQL("drop view if exists {}, {}").format(relation(VALUE), relation(LEFT_OUT)))
    below, affected = set(names), list[View]()
    for view in catalog.indicators:
        if view.name in below or view.depends_on & below:
            below.add(view.provides)
            affected.insert(0, view)
    for view in affected:
        connection.execute(SQL("drop view if exists {} cascade").format(relation(view.provides)))


def create_indicators(connection: Connection, catalog: Catalog, names: Collection[str] = ()) -> None:
    """Make indicators anew, and with them every one that was built and stood on what is gone now."""
    known = {name for (name,) in connection.execute("select name from warehouse.relation where kind = 'indicator'")}
    drop_dependents(connection, catalog, names)
    built = read_relations(connection)
    for view in catalog.indicators:
        if view.name in names or (view.name in known and view.name not in built):
            _create(connection, catalog, view)
    publish(connection, catalog)


def _create(connection: Connection, catalog: Catalog, view: View) -> None:
    types, inputs = describe(connection, view), inputs_digest(connection, catalog, view)
    member = member_view(view).as_string(connection)
    with translated_refusal(view, member):
        connection.execute(member)
        connection.execute(totals_view(view, catalog.period_types(view), has_period_type="period_type" in types))
    connection.execute(totals_index(view))
    _record(connection, catalog, view, inputs)


def refresh(connection: Connection, catalog: Catalog, view: View, inputs: str) -> None:
    """Count an indicator's totals again.

    Args: the digest of its inputs, taken before: what changes meanwhile is counted the next time.
    """
    with translated_refusal(view):
        connection.execute(SQL("refresh materialized view {}").format(relation(view.name)))
    _record(connection, catalog, view, inputs)


def _record(connection: Connection, catalog: Catalog, view: View, inputs: str) -> None:
    rows = count_rows(connection, relation(view.name))
    record(connection, Relation(view.name, view.kind, definition(catalog, view), None, inputs, rows))


def publish(connection: Connection, catalog: Catalog) -> None:
    """Lay indicator.value and indicator.left_out over every indicator that is built."""
    built = read_relations(connection)
    views = [view for view in catalog.indicators if view.name in built]
    connection.execute(SQL("drop view if exists {}, {}").format(relation(VALUE), relation(LEFT_OUT)))
    connection.execute(value_view(views))
    connection.execute(left_out_view(views))


def drop_orphans(connection: Connection, catalog: Catalog) -> None:
    """Drop what was built from a file that is no more, or from an indicator that is no longer reported."""
    names = [name for (name,) in connection.execute("select name from warehouse.relation").fetchall()]
    orphans = [name for name in names if name not in catalog.by_name]
    for name in orphans:
        _drop(connection, name)
    if orphans:
        create_indicators(connection, catalog)


def _drop(connection: Connection, name: str) -> None:
    schema, _, stem = name.partition(".")
    if schema == "staging":
        connection.execute(SQL("drop table if exists {} cascade").format(relation(name)))
    else:
        connection.execute(SQL("drop view if exists {} cascade").format(relation(f"member.{stem}")))
    forget(connection, name)
