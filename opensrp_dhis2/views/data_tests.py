"""Data tests: each is a query for the rows that break a promise of the front matter.

It knows the promises and how to ask for what breaks them; it refuses to judge how bad that is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from opensrp_dhis2.errors import UnknownRelationError
from opensrp_dhis2.views.catalog import Catalog, View
from opensrp_dhis2.views.relation import bracketed, count_rows, read_relations, relation
from opensrp_dhis2.warehouse.database import Warehouse


@dataclass(frozen=True)
class TestResult:
    """One test: how many rows break it, and the query that shows them."""

    relation: str
    test: str
    failing_count: int
    query: str


def run_tests(warehouse: Warehouse, catalog: Catalog, name: str | None = None) -> list[TestResult]:
    """Run the tests of one view, or of all that are built; an indicator's run on its list.

    Raises: UnknownRelationError (terminal) when a relationship leads to a relation that is not built yet.
    """
    with warehouse.connect() as connection:
        built = read_relations(connection)
        results = list[TestResult]()
        for view in catalog.views:
            if view.name not in built or name not in (None, view.name):
                continue
            for test, query in _queries(view):
                try:
                    failing = count_rows(connection, bracketed(query))
                except psycopg.errors.UndefinedTable as error:
                    raise UnknownRelationError(
                        f"test {test} cannot run, {error.diag.message_primary}: build that one first", path=view.path
                    ) from None
                results.append(TestResult(view.provides, test, failing, query.as_string(connection)))
    return results


def _queries(view: View) -> Iterator[tuple[str, Composable]]:
    tests = view.front_matter.tests
    for name, measure in view.front_matter.measures.items():
        if measure.sum:
            query = SQL("select * from {} where {} < 0").format(relation(view.name), Identifier(name))
            yield f"not_negative({name})", query
    if tests is None:
        return
    table = relation(view.provides)
    for column in tests.not_null:
        yield f"not_null({column})", SQL("select * from {} where {} is null").format(table, Identifier(column))
    for entry in tests.unique:
        columns = [entry] if isinstance(entry, str) else entry
        names = SQL(", ").join(map(Identifier, columns))
        query = SQL("select {0}, count(*) from {1} group by {0} having count(*) > 1").format(names, table)
        yield f"unique({', '.join(columns)})", query
    for column, values in tests.accepted_values.items():
        accepted = SQL(", ").join(Literal(_text(value)) for value in values)
        query = SQL("select * from {0} where {1}::text not in ({2})").format(table, Identifier(column), accepted)
        yield f"accepted_values({column})", query
    for column, target in tests.relationships.items():
        parent, _, key = target.rpartition(".")
        query = SQL(
            "select * from {0} as t where t.{1} is not null and not exists (select from {2} as p where p.{3} = t.{1})"
        ).format(table, Identifier(column), relation(parent), Identifier(key))
        yield f"relationships({column} -> {target})", query


def _text(value: bool | int | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
