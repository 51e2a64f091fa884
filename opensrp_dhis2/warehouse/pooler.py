"""Whether something stands between us and Postgres that lends each transaction another session.

A lock, a setting and a temporary table belong to a session: behind such a pooler they would be lost without a word.
"""

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.warehouse.database import Connection, Warehouse

LOOKS = 3


def refuse_transaction_pooling(warehouse: Warehouse) -> None:
    """Raise ConfigurationError where a session does not stay ours from one transaction to the next.

    Raises: ConfigurationError (terminal) for a pooler in transaction or statement mode, and for one that drops the
        startup options, in which the country's zone is given; else as `Warehouse.connect`.
    """
    with warehouse.connect() as connection:
        zone = connection.execute("select current_setting('opensrp.report_timezone', true)").fetchone()
        if zone != (warehouse.report_timezone,):
            raise ConfigurationError(
                "Something between us and Postgres drops the startup parameter `options`, in which REPORT_TIMEZONE is "
                "given: let WAREHOUSE_URL name Postgres itself, or a pooler in session mode that passes it on"
            )
        if connection.info.backend_pid == _session(connection):
            return  # Postgres itself
        connection.commit()
        if any(_is_shared(warehouse, connection) for _ in range(LOOKS)):
            raise ConfigurationError(
                "WAREHOUSE_URL leads to a pooler in transaction mode (PgBouncer's pool_mode), which would lose the locks "
                "that keep two runs from sending at once: set pool_mode = session for this database, or name Postgres itself"
            )


def _is_shared(warehouse: Warehouse, connection: Connection) -> bool:
    """Look whether a second connection is lent the session of the first one, while that is open."""
    before = _session(connection)
    connection.commit()
    with warehouse.connect() as other:
        is_lent = _session(other) == before
        now = _session(connection)
        connection.commit()
    return is_lent or now != before


def _session(connection: Connection) -> int:
    row = connection.execute("select pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0
