"""Building: a staging table kept up or made anew, an indicator's totals counted again or left as they are.

It knows when which is due; one build runs at a time, and each is one transaction, so that readers never see a hole.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opensrp_dhis2.views.catalog import Catalog
from opensrp_dhis2.views.changed_periods import touch_periods
from opensrp_dhis2.views.incremental_refresh import definitions, high_water, make_tables, refresh_staging, swap_tables
from opensrp_dhis2.views.relation import read_relations
from opensrp_dhis2.views.totals import (
    create_indicators,
    definition,
    drop_dependents,
    drop_orphans,
    inputs_digest,
    refresh,
)
from opensrp_dhis2.warehouse.database import Connection, Warehouse


@dataclass(frozen=True)
class BuildResult:
    """What one build did.

    changed: for staging the resources taken over, for an indicator 1 when its totals were counted again, else 0.
    touched: the past periods that it touched, oldest first; None for a staging table that was made anew.
    """

    name: str
    rows: int
    changed: int
    seconds: float
    touched: tuple[str, ...] | None


def build_all(warehouse: Warehouse, catalog: Catalog) -> list[BuildResult]:
    """Build every view in order."""
    return [
        build_staging(warehouse, catalog, view.name)
        if view.kind == "staging"
        else build_indicator(warehouse, catalog, view.name)
        for view in catalog.views
    ]


def build_staging(warehouse: Warehouse, catalog: Catalog, name: str) -> BuildResult:
    """Bring one staging table up to raw, or make it when its definition changed.

    Raises: ViewContractError (terminal) with path and line; then the old table stays.
    """
    started, zone = time.monotonic(), warehouse.report_timezone
    with warehouse.connect() as connection:
        due = _due(connection, catalog, name, zone)
    marks = {each: high_water(warehouse, catalog.by_name[each]) for each in due or [name]}
    with _building(warehouse) as connection:
        built = read_relations(connection)
        if due and name in _due(connection, catalog, name, zone):
            views = [catalog.by_name[each] for each in due]
            make_tables(connection, views)
            drop_dependents(connection, catalog, due)
            swap_tables(connection, views, marks, definitions(connection, catalog, zone))
            create_indicators(connection, catalog)
            rows = read_relations(connection)[name].row_count
            return BuildResult(name, rows, rows, time.monotonic() - started, None)
        done = refresh_staging(connection, catalog, catalog.by_name[name], built[name], marks[name])
    return BuildResult(name, done.rows, done.changed, time.monotonic() - started, done.periods)


def build_indicator(warehouse: Warehouse, catalog: Catalog, name: str) -> BuildResult:
    """Make an indicator's list and totals, or count the totals again when anything they read has changed.

    Raises: ViewContractError (terminal) with path and line; then the old totals stay.
    """
    started, view = time.monotonic(), catalog.by_name[name]
    with _building(warehouse) as connection:
        drop_orphans(connection, catalog)
        built = read_relations(connection).get(name)
        inputs = inputs_digest(connection, catalog, view)
        changed = 1
        if built is None or built.checksum != definition(catalog, view):
            create_indicators(connection, catalog, [name])
        elif built.inputs != inputs:
            refresh(connection, catalog, view, inputs)
        else:
            changed = 0
        touched = touch_periods(connection, name)
        rows = read_relations(connection)[name].row_count
    return BuildResult(name, rows, changed, time.monotonic() - started, touched)


def _due(connection: Connection, catalog: Catalog, name: str, report_timezone: str) -> list[str]:
    """List the tables to make anew for one of them; none when it only needs keeping up.

    Those whose definition changed go together, with those that are new: a release may have moved a column from one to
    another, and the indicators on them must be made from all of them at once.
    """
    built = read_relations(connection)
    wanted = definitions(connection, catalog, report_timezone)
    missing = [each for each in wanted if each not in built]
    outdated = [each for each in wanted if each in built and built[each].checksum != wanted[each]]
    if name not in missing and name not in outdated:
        return []
    return [*missing, *outdated] if outdated else [name]


@contextmanager
def _building(warehouse: Warehouse) -> Iterator[Connection]:
    """Lend a connection for one build at a time."""
    with warehouse.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('opensrp_dhis2.views'))")
        yield connection
