"""What sql/ makes in a warehouse: the numbered files of tables/ once each, all of functions/ whenever one has changed.

It knows file names and checksums; it refuses to know what the files say.
"""

import hashlib
from pathlib import Path

import psycopg

from opensrp_dhis2.errors import ConfigurationError, MigrationError
from opensrp_dhis2.warehouse.database import MINIMUM_VERSION, Connection, Warehouse
from opensrp_dhis2.warehouse.postgres_errors import words_of
from opensrp_dhis2.warehouse.queries import query

_FUNCTIONS = "functions"  # their row in warehouse.migration
# until 30 November 2026 sql/ was 18 files, tables and functions together: all of them, as they were in the end
_BEFORE_TABLES = "9fc67f9ce83c454fc6e321f9b9d42fe0813eb60b6166f2fb88169f380b60c77f"
_SAME_AS_BEFORE = ("0001_raw.sql", "0002_lookup.sql", "0003_outbox.sql", "0004_relation.sql")


def migrate(warehouse: Warehouse, sql_dir: Path) -> list[str]:
    """Bring a warehouse up to sql/, all in one transaction.

    Functions and views are dropped and made anew when a table or one of them has changed; those on which something
    else rests (a trigger, a country's view) are replaced in their place.

    Returns: the names of the files of tables/ that were applied, in order, then "functions" if they were.
    Raises: MigrationError (terminal) for an edited file, a missing one, or SQL that Postgres refuses.
    """
    tables, functions = _read(sql_dir / "tables"), _read(sql_dir / "functions")
    with warehouse.connect() as connection:
        _check_server(connection)
        connection.execute("select pg_advisory_xact_lock(hashtext('opensrp_dhis2.migrate'))")
        connection.execute("create schema if not exists warehouse")
        connection.execute(query("migration", "make_ledger"))
        _carry_over(connection, tables)
        applied = dict(connection.execute("select name, checksum from warehouse.migration").fetchall())
        _refuse_missing(applied, tables, sql_dir)
        _refuse_edited(applied, tables)
        todo = [name for name in tables if name not in applied]
        checksum = _checksum("".join(functions.values()))
        if todo or applied.get(_FUNCTIONS) != checksum:
            _drop_functions_and_views(connection)
            for name in todo:
                _apply(connection, f"tables/{name}", tables[name])
                _record(connection, name, _checksum(tables[name]))
            connection.execute("set local check_function_bodies = off")  # some read what the first build makes
            for name, text in functions.items():
                _apply(connection, f"functions/{name}", text)
            _record(connection, _FUNCTIONS, checksum)
            todo.append(_FUNCTIONS)
        return todo


def _check_server(connection: Connection) -> None:
    """Refuse what cannot hold the warehouse. Raises: ConfigurationError (terminal)."""
    if connection.info.server_version < MINIMUM_VERSION:
        raise ConfigurationError(f"Postgres {connection.info.server_version // 10000} is too old: use 14 or newer")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConfigurationError(
            f"The database {connection.info.dbname} of WAREHOUSE_URL has the encoding {encoding}, which cannot hold every "
            "name: make one with create database ... encoding 'UTF8' template template0"
        )


def _read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("*.sql"))}


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _carry_over(connection: Connection, tables: dict[str, str]) -> None:
    """Take a warehouse of the 18 files for one that has the first files of tables/: they make the same."""
    rows = connection.execute("select name, checksum from warehouse.migration order by name").fetchall()
    if "0001_schemas.sql" not in dict(rows):
        return
    if _checksum("".join(f"{name} {checksum}\n" for name, checksum in rows)) != _BEFORE_TABLES:
        raise MigrationError(
            "The warehouse was made by a checkout from before 30 November 2026: bring it up to that day's version first, "
            "or make it anew (an empty database: the source is read and every value sent again)"
        )
    connection.execute("delete from warehouse.migration")
    for name in _SAME_AS_BEFORE:
        _record(connection, name, _checksum(tables[name]))


def _refuse_missing(applied: dict[str, str], tables: dict[str, str], sql_dir: Path) -> None:
    missing = sorted(set(applied) - set(tables) - {_FUNCTIONS})
    if missing:
        raise MigrationError(
            f"The warehouse has {missing[0]}, which is not in {sql_dir.name}/tables/: this program is older than the "
            "warehouse; install the version that made it, or a newer one"
        )


def _refuse_edited(applied: dict[str, str], tables: dict[str, str]) -> None:
    for name, text in tables.items():
        if applied.get(name, _checksum(text)) != _checksum(text):
            raise MigrationError(
                f"sql/tables/{name} was edited after it was applied: restore the file and put the change into a new one"
            )


def _drop_functions_and_views(connection: Connection) -> None:
    """Drop what functions/ once made, in rounds until nothing more goes: what something rests on stays."""
    for _ in range(4):
        connection.execute(query("migration", "drop_functions_and_views"))


def _apply(connection: Connection, name: str, text: str) -> None:
    try:
        connection.execute(text)
    except psycopg.OperationalError:
        raise  # of the server, not of the file
    except psycopg.Error as error:
        raise MigrationError(f"sql/{name} does not apply: {words_of(error)}") from None


def _record(connection: Connection, name: str, checksum: str) -> None:
    connection.execute(query("migration", "record"), {"name": name, "checksum": checksum})
