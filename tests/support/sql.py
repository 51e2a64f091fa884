"""One statement against a warehouse, in a transaction of its own."""

from typing import Any

from opensrp_dhis2.warehouse.database import Warehouse


def rows(warehouse: Warehouse, query: Any, *parameters: object) -> list[Any]:
    """Return what a query finds."""
    with warehouse.connect() as connection:
        return connection.execute(query, parameters or None).fetchall()


def execute(warehouse: Warehouse, statement: Any, *parameters: object) -> None:
    """Change something, as another run or a person would."""
    with warehouse.connect() as connection:
        connection.execute(statement, parameters or None)
