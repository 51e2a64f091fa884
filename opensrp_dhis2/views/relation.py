"""warehouse.relation: what was built from which definition, and how far it has come.

It knows digests and counts; it refuses to know how a relation is made.
"""

import hashlib
from dataclasses import dataclass

from psycopg.rows import class_row
from psycopg.sql import SQL

from opensrp_dhis2.views.relation_sql import relation
from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.queries import query


@dataclass(frozen=True)
class Relation:
    """One row of warehouse.relation."""

    name: str
    kind: str
    checksum: str
    load_id: int | None
    inputs: str | None
    row_count: int


def read_relations(connection: Connection) -> dict[str, Relation]:
    """Return what was built, by name, and is still there."""
    with connection.cursor(row_factory=class_row(Relation)) as cursor:
        rows = cursor.execute(query("relation", "built")).fetchall()
    return {row.name: row for row in rows}


def record(connection: Connection, row: Relation) -> None:
    """Note what was built just now, in the transaction that built it."""
    connection.execute(query("relation", "record"), vars(row))


def forget(connection: Connection, name: str) -> None:
    connection.execute("delete from warehouse.relation where name = %s", (name,))


def digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def functions_digest(connection: Connection) -> str:
    """Digest the fhir.* functions: what they say is part of every view's definition."""
    return str(scalar(connection, query("relation", "functions_digest")))


def content_digest(connection: Connection, name: str) -> str:
    """Digest the rows of a small table, whatever their order."""
    rows = SQL("select concat_ws(' ', count(*), sum(hashtextextended(t::text, 0))) from {} as t")
    return str(scalar(connection, rows.format(relation(name)).as_string(connection)))


def scalar(connection: Connection, text: str) -> object:
    """Run a query of one row and one column."""
    row = connection.execute(text).fetchone()
    return row[0] if row else None
