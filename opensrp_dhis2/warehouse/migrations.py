"""The numbered files of sql/, applied once each, in order, and never after they were edited.

It knows file names and checksums; it refuses to know what the files say.
"""

import hashlib
from pathlib import Path

import psycopg

from opensrp_dhis2.errors import ConfigurationError, MigrationError
from opensrp_dhis2.warehouse.database import MINIMUM_VERSION, Connection, Warehouse

_LEDGER = """create table if not exists warehouse.migration (
  name text primary key, checksum text not null, applied_at timestamptz not null default now())"""


def migrate(warehouse: Warehouse, sql_dir: Path) -> list[str]:
    """Apply the files that this warehouse has not seen, all in one transaction.

    Returns: the names of the files applied, in order.
    Raises: MigrationError (terminal) for an edited file, a missing one, or SQL that Postgres refuses.
    """
    files = sorted(sql_dir.glob("*.sql"))
    with warehouse.connect() as connection:
        if connection.info.server_version < MINIMUM_VERSION:
            raise ConfigurationError(f"Postgres {connection.info.server_version // 10000} is too old: use 14 or newer")
        connection.execute("select pg_advisory_xact_lock(hashtext('opensrp_dhis2.migrate'))")
        connection.execute("create schema if not exists warehouse")
        connection.execute(_LEDGER)
        applied = dict(connection.execute("select name, checksum from warehouse.migration").fetchall())
        _refuse_missing(applied, files, sql_dir)
        return [path.name for path in files if _apply(connection, path, applied.get(path.name))]


def _refuse_missing(applied: dict[str, str], files: list[Path], sql_dir: Path) -> None:
    missing = sorted(set(applied) - {path.name for path in files})
    if missing:
        raise MigrationError(
            f"The warehouse has {missing[0]}, which is not in {sql_dir.name}/: this program is older than the "
            "warehouse; install the version that made it, or a newer one"
        )


def _apply(connection: Connection, path: Path, applied_checksum: str | None) -> bool:
    text = path.read_text()
    checksum = hashlib.sha256(text.encode()).hexdigest()
    if applied_checksum == checksum:
        return False
    if applied_checksum is not None:
        raise MigrationError(
            f"sql/{path.name} was edited after it was applied: restore the file and put the change into a new one"
        )
    try:
        connection.execute(text)
    except psycopg.Error as error:
        raise MigrationError(f"sql/{path.name} does not apply: {error}") from None
    connection.execute("insert into warehouse.migration (name, checksum) values (%s, %s)", (path.name, checksum))
    return True
