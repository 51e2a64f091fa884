"""Building: a staging table kept up or made anew, an indicator's totals counted again or left as they are.

It knows when which is due; one build runs at a time, and each is one transaction, so that readers never see a hole.
"""

import time
from dataclasses import dataclass

from opensrp_dhis2.views.catalog import Catalog, View
from opensrp_dhis2.views.relation import Relation, read_relations
from opensrp_dhis2.views.totals import create_indicators, definition, inputs_digest, publish, refresh
from opensrp_dhis2.views.upkeep import definitions, high_water, keep_up, replace_tables
from opensrp_dhis2.warehouse.database import Connection, Warehouse


@dataclass(frozen=True)
class BuildResult:
    """What one build did.

    changed: for staging the resources taken over, for an indicator 1 when its totals were counted again, else 0.
    """

    name: str
    rows: int
    changed: int
    seconds: float


def build_all(warehouse: Warehouse, catalog: Catalog) -> list[BuildResult]:
    """Build every view in order."""
    return [
        build_staging(warehouse, catalog, view.name)
        if view.kind == "staging"
        else build_indicator(warehouse, catalog, view.name)
        for view in catalog.in_order()
    ]


def build_staging(warehouse: Warehouse, catalog: Catalog, name: str) -> BuildResult:
    """Bring one staging table up to raw.

    When its definition changed, every table whose definition changed is made anew in the same transaction, with the
    indicators on them: a new release may have moved a column from one to another.
    Raises: ViewContractError (terminal) with path and line; then the old tables stay.
    """
    started, view = time.monotonic(), catalog.by_name[name]
    with warehouse.connect() as connection:
        stale = _stale(connection, catalog, warehouse.report_timezone)
    marks = {each: high_water(warehouse, catalog.by_name[each]) for each in (stale if name in stale else [name])}
    with _building(warehouse) as connection:
        stale = _stale(connection, catalog, warehouse.report_timezone)
        built = read_relations(connection).get(name)
        if built is None or name in stale:
            checksums = definitions(connection, catalog, warehouse.report_timezone)
            replace_tables(connection, catalog, marks, checksums)
            create_indicators(connection, catalog, ())
            rows = changed = read_relations(connection)[name].row_count
        else:
            rows, changed = keep_up(connection, view, built, marks[name])
    return BuildResult(name, rows, changed, time.monotonic() - started)
