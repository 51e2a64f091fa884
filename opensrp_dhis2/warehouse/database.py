"""The connection to the Postgres warehouse.

It knows Postgres; it refuses to know FHIR, DHIS2 and the environment.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TypeAlias

import psycopg
from sqlalchemy import URL, Engine, PoolProxiedConnection, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoneFreeError

from opensrp_dhis2.errors import ConfigurationError, WarehouseUnavailableError
from opensrp_dhis2.warehouse.postgres_errors import translated, translated_at_connect

Connection: TypeAlias = psycopg.Connection[Any]
MINIMUM_VERSION = 140000
LOCK_WAIT_SECONDS = 1800.0
# libpq's own limits, where the URL gives no others: of the way in, and of a network that forgets the connection.
CONNECT_LIMITS: dict[str, Any] = {
    "connect_timeout": 15, "keepalives": 1, "keepalives_idle": 60, "keepalives_interval": 15, "keepalives_count": 4,
    "tcp_user_timeout": 120_000,
}  # fmt: skip
LOCK_LIMIT = f"-c lock_timeout={LOCK_WAIT_SECONDS:.0f}s"  # of every table, row and advisory lock, unless said otherwise


class Warehouse:
    """A pool of psycopg connections to one warehouse, cut to the country's time zone.

    Every connection carries the setting `opensrp.report_timezone`, which `fhir.local_date` reads in SQL, and where a day
    is rehearsed `opensrp.report_now`, which `fhir.today` reads.
    """

    def __init__(self, url: str, *, report_timezone: str = "UTC", report_now: datetime | None = None) -> None:
        self.report_timezone = report_timezone
        self._url = _checked_url(url)
        now = f" -c opensrp.report_now={report_now.isoformat()}" if report_now else ""
        self.engine: Engine = create_engine(
            self._url,
            pool_size=8,
            pool_pre_ping=True,  # a server that was started anew left dead connections
            connect_args={
                **{name: limit for name, limit in CONNECT_LIMITS.items() if name not in self._url.query},
                "client_encoding": "UTF8",
                "options": f"-c opensrp.report_timezone={report_timezone} -c timezone=UTC -c jit=off {LOCK_LIMIT}{now}",
            },
        )

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Lend a psycopg connection for one transaction: committed at the end, rolled back on an error.

        Raises: WarehouseUnavailableError (transient) when Postgres cannot be reached, goes away, or lacks what may be
        there again soon; WarehouseError (terminal) when it refuses for good, such as a full disk or a lack of rights;
        ConfigurationError for a WAREHOUSE_URL that it does not let in.
        """
        lent = self._lent()
        connection: Connection = lent.driver_connection  # type: ignore[assignment]
        try:
            yield connection
            if connection.closed:  # of a lock alone: any other error came here
                lent.invalidate()
            else:
                connection.commit()
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError) or connection.closed:
                lent.invalidate()
            # Not chained: Postgres's detail may hold a row. The traceback has lines of code only.
            raise translated(error, self._shown_url).with_traceback(error.__traceback__) from None
        finally:
            lent.close()  # the pool rolls back what is not committed

    def _lent(self) -> PoolProxiedConnection:
        try:
            return self.engine.raw_connection()
        except NoneFreeError:
            raise WarehouseUnavailableError(
                f"Every connection of this process to Postgres at {self._shown_url} was in use for 30 s: lower FHIR_THREADS"
            ) from None
        except DBAPIError as error:
            raise translated_at_connect(error.orig or error, self._shown_url) from None
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(f"WAREHOUSE_URL cannot be used: {str(error).strip()}; correct it") from None
        except psycopg.Error as error:
            raise translated_at_connect(error, self._shown_url) from None

    @contextmanager
    def lock(self, name: str, *, wait_seconds: float = LOCK_WAIT_SECONDS) -> Iterator[Connection]:
        """Hold a session-level advisory lock: two runs must not do the same work side by side, so the second waits.

        Gives the connection whose session holds it. When that session ends, so does the lock, and nobody is told: what
        must not have two writers takes a lease too (outbox/lease.py).

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
                yield connection
            finally:
                with suppress(psycopg.OperationalError):  # the session has ended, and the lock with it
                    connection.rollback()
                    connection.execute("select pg_advisory_unlock(%s)", (key,))
                    connection.execute("reset lock_timeout")

    def close(self) -> None:
        self.engine.dispose()

    @property
    def _shown_url(self) -> str:
        return self._url.difference_update_query(["password", "sslpassword"]).render_as_string(hide_password=True)


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
