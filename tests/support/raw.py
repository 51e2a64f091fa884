"""What stands in the raw tables and their bookkeeping."""

from datetime import datetime

from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.sql import rows


def landed(warehouse: Warehouse, table: str = "flag") -> dict[str, int]:
    """Return the version of each resource that is here and not deleted."""
    return dict(rows(warehouse, f"select id, version_id from raw.{table} where not is_deleted"))


def left(warehouse: Warehouse) -> int:
    """Count the slices that are left to the search."""
    return slice_states(warehouse).count("planned")


def slice_states(warehouse: Warehouse) -> list[str]:
    return [stands for (stands,) in rows(warehouse, "select state from raw.slice order by slice_id")]


def read_to(url: str, warehouse: Warehouse, resource_type: str = "Flag") -> datetime | None:
    with warehouse.connect() as connection:
        return state.read_to(connection, url, resource_type)
