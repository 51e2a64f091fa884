"""The tests of front matters: each is a query for the rows for which it does not hold.

It knows the four kinds of test; what a failure means for a run is decided in defs/checks.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from opensrp_dhis2.views.catalog import Catalog, View
from opensrp_dhis2.views.relation_sql import literal, quoted
from opensrp_dhis2.warehouse.database import Warehouse


@dataclass(frozen=True)
class TestResult:
    """One test, how many rows fail it, and the query that shows them in psql."""

    relation: str
    test: str
    failing_count: int
    query: str


def run_tests(warehouse: Warehouse, catalog: Catalog, name: str | None = None) -> list[TestResult]:
    """Run the tests of one view, or of all."""
    views = [catalog.views[name]] if name else list(catalog.in_order())
    results = []
    with warehouse.connect() as connection:
        for view in views:
            for test, query in _queries(view):
                row = connection.execute(f"select count(*) from ({query}) as failing").fetchone()  # type: ignore[arg-type]
                results.append(TestResult(view.name, test, row[0] if row else 0, query))
    return results


def _queries(view: View) -> Iterator[tuple[str, str]]:
    """Give each test's name and the query for the rows that fail it; an indicator is tested on its members."""
    relation = quoted(f"member.{view.path_stem}" if view.kind == "indicator" else view.name)
    tests = view.front_matter.tests
    for column in tests.not_null:
        yield f"not_null {column}", f"select * from {relation} where {quoted(column)} is null"
    for column in tests.unique:
        q = quoted(column)
        yield f"unique {column}", f"select {q} from {relation} where {q} is not null group by {q} having count(*) > 1"
    for column, values in tests.accepted_values.items():
        listed = ", ".join(literal(str(value)) for value in values)
        yield (
            f"accepted_values {column}",
            f"select * from {relation} where {quoted(column)}::text not in ({listed})",
        )
    for column, target in tests.relationships.items():
        table, _, key = target.rpartition(".")
        yield (
            f"relationships {column}",
            f"select r.* from {relation} as r where r.{quoted(column)} is not null"
            f" and not exists (select from {quoted(table)} as t where t.{quoted(key)} = r.{quoted(column)})",
        )
