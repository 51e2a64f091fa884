"""Relations: what was built from which definition (warehouse.relation), and the SQL that makes and keeps each.

It knows digests, counts and how SQL is composed of a view; it refuses to know when which relation is due.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg.rows import class_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from opensrp_dhis2.views.catalog import View
from opensrp_dhis2.views.front_matter import TOTAL_KEYS, Measure
from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.queries import query

_COMMA, _UNION, _TRUE = SQL(", "), SQL("\nunion all\n"), SQL("true")
_PLACE = re.compile(r"%\((\w+)\)s")


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
    """Remove what was noted of a relation."""
    connection.execute("delete from warehouse.relation where name = %s", (name,))


def digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def functions_digest(connection: Connection) -> str:
    """Digest the fhir.* functions: what they say is part of every view's definition."""
    return str(scalar(connection, SQL(query("relation", "functions_digest"))))


def content_digest(connection: Connection, name: str) -> str:
    """Digest the rows of a small table, whatever their order."""
    rows = SQL("select concat_ws(' ', count(*), sum(hashtextextended(t::text, 0))) from {} as t")
    return str(scalar(connection, rows.format(relation(name))))


def scalar(connection: Connection, statement: SQL | Composed) -> object:
    """Run a query of one row and one column."""
    row = connection.execute(statement).fetchone()
    return row[0] if row else None


def count_rows(connection: Connection, source: Composable) -> int:
    """Count the rows of a relation, or of a query in brackets."""
    return int(str(scalar(connection, SQL("select count(*) from {} as counted").format(source))))


def bracketed(rows: Composable) -> Composed:
    return SQL("({})").format(rows)


def _template(name: str, **parts: Composable) -> Composed:
    """Return a template of sql/queries/indicator.sql with SQL in place of each %( )s."""
    return SQL(_PLACE.sub(r"{\1}", query("indicator", name))).format(**parts)


def relation(name: str) -> Identifier:
    """Quote schema.name."""
    return Identifier(*name.split("."))


def verbatim(view: View) -> SQL:
    """Return a view's SQL as it stands in its file."""
    return SQL(view.sql)


def staging_table(view: View, name: str) -> Composed:
    """Make a staging table, full, under a name of the caller's."""
    return SQL("create table {} as select * from (\n{}\n) as s").format(relation(name), verbatim(view))


def staging_indexes(view: View) -> list[Composed]:
    columns = [[view.front_matter.key], *view.front_matter.indexes]
    return [
        SQL("create index on {} ({})").format(relation(view.name), _COMMA.join(map(Identifier, index)))
        for index in columns
    ]


def changed_ids(view: View, since: int) -> Composed:
    """Select the ids of a staging view's raw table that were loaded after a load number, the deleted too."""
    return SQL("select id from {} where load_id > {}").format(relation(view.raw_table), Literal(since))


def delete_rows(view: View, ids: Composable | None, returned: Composable | None = None) -> Composed:
    """Delete a staging table's rows of some keys, or all of them."""
    return _moved(SQL("delete from {}{}").format(relation(view.name), _of_keys(view, ids)), returned, is_old=True)


def insert_rows(view: View, ids: Composable | None, returned: Composable | None = None) -> Composed:
    """Insert the rows that a staging view's SQL gives for some keys, or all of them.

    The keys are an array computed first, so that Postgres takes the condition down to the raw table's primary key.
    """
    statement = SQL("insert into {} select * from (\n{}\n) as s{}").format(
        relation(view.name), verbatim(view), _of_keys(view, ids)
    )
    return _moved(statement, returned, is_old=False)


def _moved(statement: Composed, returned: Composable | None, *, is_old: bool) -> Composed:
    """Note what a statement returns of each row in the temporary table `moved`, one row for one."""
    if returned is None:
        return statement
    return SQL("with changed as (\n{} returning {}) insert into moved select digest, days, {} from changed").format(
        statement, returned, Literal(is_old)
    )


def _of_keys(view: View, ids: Composable | None) -> Composable:
    if ids is None:
        return SQL("")
    return SQL(" where {} = any (array({}))").format(Identifier(view.front_matter.key), ids)


def member_view(view: View) -> Composed:
    return SQL("create view {} as\n{}").format(relation(view.provides), verbatim(view))


def totals_view(view: View, period_types: Sequence[str], *, has_period_type: bool) -> Composed:
    return SQL("create materialized view {} as\n{}").format(
        relation(view.name), totals_query(view, period_types, has_period_type=has_period_type)
    )


def totals_query(
    view: View, period_types: Sequence[str], *, has_period_type: bool, periods: Sequence[str] = ()
) -> Composed:
    """Count an indicator's members by period, org unit and disaggregation."""
    front = view.front_matter
    keys = [
        Identifier("calendar", "period_type"),
        Identifier("calendar", "period"),
        Identifier("member", "org_unit_id"),
    ]
    keys += [Identifier("member", column) for column in front.disaggregation]
    measures = [SQL("{} as {}").format(_aggregate(m), Identifier(name)) for name, m in front.measures.items()]
    options = [_one_of(Identifier("member", name), value.options) for name, value in front.disaggregation.items()]
    return _template(
        "totals",
        keys=_COMMA.join(keys),
        measures=_COMMA.join(measures),
        member=relation(view.provides),
        period_types=_COMMA.join(Literal(str(kind)) for kind in period_types),
        is_wanted=_one_of(Identifier("period"), periods) if periods else _TRUE,
        is_of_type=SQL("calendar.period_type = member.period_type") if has_period_type else _TRUE,
        is_option=SQL(" and ").join(options) if options else _TRUE,
    )


def _one_of(column: Identifier, values: Iterable[str]) -> Composed:
    return SQL("{} in ({})").format(column, _COMMA.join(map(Literal, values)))


def _aggregate(measure: Measure) -> Composable:
    if measure.distinct:
        number: Composable = SQL("count(distinct {})").format(Identifier("member", measure.distinct))
    elif measure.sum:
        number = SQL("sum({})").format(Identifier("member", measure.sum))
    else:
        number = SQL("count(*)")
    if measure.where:
        number = SQL("{} filter (where {})").format(number, Identifier("member", measure.where))
    return number


def totals_index(view: View) -> Composed:
    columns = [*TOTAL_KEYS, *view.front_matter.disaggregation]
    return SQL("create unique index on {} ({})").format(relation(view.name), _COMMA.join(map(Identifier, columns)))


def value_view(views: Sequence[View]) -> Composed:
    """Make indicator.value: every total of every indicator, one row a number."""
    rows = [
        _template(
            "values_of_measure",
            of_indicator=Literal(view.path_stem),
            of_measure=Literal(name),
            disaggregation=_COMMA.join(map(Identifier, view.front_matter.disaggregation)),
            number=Identifier(name),
            totals=relation(view.name),
        )
        for view in views
        for name in view.front_matter.measures
    ]
    return SQL("create view indicator.value as\n{}").format(_UNION.join([_template("no_value"), *rows]))


def left_out_view(views: Sequence[View]) -> Composed:
    """Make indicator.left_out: how many members of each indicator are in no total, and why."""
    rows = [
        _template(
            "left_out_of",
            of_indicator=Literal(view.path_stem),
            lacking_option=_lacking_option(view),
            member=relation(view.provides),
        )
        for view in views
    ]
    return SQL("create view indicator.left_out as\n{}").format(_UNION.join([_template("none_left_out"), *rows]))


def _lacking_option(view: View) -> Composable:
    """Name the first column of the disaggregation whose value is no option of its category."""
    reasons = [
        SQL("when {} is null or not {} then {}").format(
            Identifier(name), _one_of(Identifier(name), value.options), Literal(f"no option for {name}")
        )
        for name, value in view.front_matter.disaggregation.items()
    ]
    return SQL("case {} end").format(SQL(" ").join(reasons)) if reasons else SQL("null")
