"""warehouse.relation: what was built from which definition, and how far it has come.

It knows digests and counts; it refuses to know how a relation is made.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from opensrp_dhis2.views.front_matter import TOTAL_KEYS, Measure
from opensrp_dhis2.views.view import View
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


_COMMA = SQL(", ")


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
    """Count an indicator's members by period, org unit and disaggregation.

    The calendar is spread over its days, so that the join is by equality. What has no unit, no date or a value that is
    no option stays out; `left_out` counts it.
    """
    front = view.front_matter
    keys: list[Composable] = [SQL("calendar.period_type"), SQL("calendar.period"), SQL("member.org_unit_id")]
    keys += [Identifier("member", column) for column in front.disaggregation]
    measures = [SQL("{} as {}").format(_aggregate(m), Identifier(name)) for name, m in front.measures.items()]
    counted = [
        SQL(" and {} in ({})").format(Identifier("member", column), _COMMA.join(map(Literal, value.options)))
        for column, value in front.disaggregation.items()
    ]
    return SQL(
        "select {columns}\nfrom {member} as member\n"
        "join (select period_type, period, d::date as day_on"
        " from lookup.period cross join lateral generate_series(start_on, end_on, interval '1 day') as d"
        " where period_type in ({period_types}){of_periods}) as calendar on calendar.day_on = member.event_on{of_type}\n"
        "where member.org_unit_id is not null{counted}\ngroup by {keys}"
    ).format(
        columns=_COMMA.join([*keys, *measures]),
        member=relation(view.provides),
        period_types=_COMMA.join(Literal(str(kind)) for kind in period_types),
        of_periods=SQL(" and period in ({})").format(_COMMA.join(map(Literal, periods))) if periods else SQL(""),
        of_type=SQL(" and calendar.period_type = member.period_type" if has_period_type else ""),
        counted=SQL("").join(counted),
        keys=_COMMA.join(keys),
    )


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
    rows: list[Composable] = [
        SQL(
            "select {} as indicator, {} as measure, period_type, period, org_unit_id, array[{}]::text[]"
            " as disaggregation, {}::numeric as value from {} where {} is not null"
        ).format(
            Literal(view.path_stem), Literal(name), _COMMA.join(map(Identifier, view.front_matter.disaggregation)),
            Identifier(name), relation(view.name), Identifier(name),
        )
        for view in views
        for name in view.front_matter.measures
    ]  # fmt: skip
    empty = SQL(
        "select null::text as indicator, null::text as measure, null::text as period_type, null::text as period,"
        " null::text as org_unit_id, null::text[] as disaggregation, null::numeric as value where false"
    )
    return SQL("create view indicator.value as\n{}").format(SQL("\nunion all\n").join([empty, *rows]))


def left_out_view(views: Sequence[View]) -> Composed:
    """Make indicator.left_out: how many members of each indicator are in no total, and why."""
    empty: Composable = SQL(
        "select null::text as indicator, null::text as reason, 0::bigint as member_count where false"
    )
    rows = [
        SQL("select {}, reason, count(*) from (select case {} end as reason from {}) as m where reason is not null"
            " group by reason").format(Literal(view.path_stem), _reasons(view), relation(view.provides))
        for view in views
    ]  # fmt: skip
    return SQL("create view indicator.left_out as\n{}").format(SQL("\nunion all\n").join([empty, *rows]))


def _reasons(view: View) -> Composable:
    reasons: list[Composable] = [
        SQL("when event_on is null then 'no possible date'"),
        SQL("when org_unit_id is null then 'no org unit'"),
    ]
    for column, value in view.front_matter.disaggregation.items():
        options = _COMMA.join(map(Literal, value.options))
        reasons.append(
            SQL("when {0} is null or {0} not in ({1}) then {2}").format(
                Identifier(column), options, Literal(f"no option for {column}")
            )
        )
    return SQL(" ").join(reasons)
