"""A small ledger's surroundings: two facilities, one monthly data set, and an indicator whose totals a test sets."""

from collections.abc import Iterator

import pytest

from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.country import Country, country
from tests.support.dhis2_site import VERSIONS, Dhis2Site, site
from tests.support.surroundings import SetTotals, set_up_ledger


@pytest.fixture
def set_totals(warehouse: Warehouse) -> SetTotals:
    """Give a function that replaces the totals of September 2025."""
    return set_up_ledger(warehouse)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each engine of DHIS2."""
    return str(request.param)


@pytest.fixture
def dhis2(version: str, warehouse: Warehouse, set_totals: SetTotals) -> Iterator[Dhis2Site]:
    with site(warehouse, version) as opened:
        yield opened


@pytest.fixture
def here(version: str, warehouse: Warehouse) -> Iterator[Country]:
    with country(warehouse, version) as opened:
        yield opened
