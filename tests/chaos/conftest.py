"""An arena for each engine: a sandbox DHIS2 in its own process, a database, a gateway and a relay between."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from opensrp_dhis2.dhis2.metadata import read_metadata
from opensrp_dhis2.lookup.metadata import replace_metadata
from opensrp_dhis2.project import Project
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.migrations import migrate
from tests.chaos.point import Arena
from tests.chaos.process import Sandbox
from tests.support.dhis2_metadata import metadata
from tests.support.dhis2_site import open_client
from tests.support.surroundings import SetTotals, set_up_ledger

ZERO_IS_NOTHING = {"2.41": frozenset({"DeVisits001"}), "2.43": frozenset[str]()}
OTHER_PERIODS = """
insert into lookup.period values
  ('Monthly', '202507', '2025-07-01', '2025-07-31'), ('Monthly', '202508', '2025-08-01', '2025-08-31')"""


@pytest.fixture
def set_totals(warehouse: Warehouse) -> SetTotals:
    """Give a function that replaces the totals of September 2025."""
    return set_up_ledger(warehouse)


@pytest.fixture
def arenas(database_url: str, empty_database_url: str, tmp_path: Path) -> Iterator[dict[str, Arena]]:
    """Both engines, each with a database of its own, so that they can be played side by side."""
    urls = {"2.41": database_url, "2.43": empty_database_url}
    with ExitStack() as stack:
        yield {version: stack.enter_context(_arena(version, url, tmp_path)) for version, url in urls.items()}


@contextmanager
def _arena(version: str, database_url: str, folder: Path) -> Iterator[Arena]:
    sandbox = Sandbox(metadata(), version, folder / f"{version}.sqlite")
    arena = Arena(database_url, sandbox, zero_is_nothing=ZERO_IS_NOTHING[version])
    _surround(database_url, arena.gateway.url)
    yield arena
    arena.close()
    sandbox.stop()


def _surround(database_url: str, dhis2_url: str) -> None:
    warehouse = Warehouse(database_url)
    migrate(warehouse, Project().sql_dir)
    set_up_ledger(warehouse)
    with warehouse.connect() as connection, open_client(dhis2_url) as client:
        connection.execute(OTHER_PERIODS)
        replace_metadata(connection, read_metadata(client, ["DS_M"]), client.base_url)
    warehouse.close()
