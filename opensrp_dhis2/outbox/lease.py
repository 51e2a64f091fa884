"""The lease of one DHIS2 server: one run at a time writes to it and to its ledger, also when a lock is lost unheard.

It knows the fence, a number that grows with each lease; it refuses to know what is written under it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from opensrp_dhis2.errors import LeaseLostError
from opensrp_dhis2.warehouse.database import Connection, Warehouse


@dataclass(frozen=True)
class Lease:
    """The right to write, as long as nobody has taken a later one; a `Warehouse` for those who write under it."""

    warehouse: Warehouse
    target: str
    fence: int
    session: Connection  # holds the advisory lock

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Lend a connection for one transaction in which nobody else can take the lease.

        Raises: LeaseLostError (transient) when somebody has; else as `Warehouse.connect`.
        """
        with self.warehouse.connect() as connection:
            query = "select fence from outbox.lease where target = %s for share"
            row = connection.execute(query, (self.target,)).fetchone()
            if row is None or row[0] != self.fence:
                raise LeaseLostError(
                    f"Another run has taken over the reports to {self.target}, because the Postgres session that held this "
                    "run's lock ended. This run stops; the other one settles what it left open. Look into Postgres's log "
                    "for why the session ended (idle_session_timeout, a failover, a firewall or pooler between)"
                )
            yield connection

    def check(self) -> None:
        """Make sure, just before a request leaves, that the lock is still held: its session answers, the fence stands.

        Raises: LeaseLostError (transient).
        """
        try:
            self.session.execute("select 1")
            self.session.commit()
        except psycopg.OperationalError:
            raise LeaseLostError(
                f"The Postgres session that held this run's lock for {self.target} has ended; nothing more is sent. The "
                "values stay pending and go with the next try. If this comes again, look into Postgres's log for "
                "idle_session_timeout, and let firewalls and poolers keep idle connections open"
            ) from None
        with self.connect():
            pass


@contextmanager
def take_lease(warehouse: Warehouse, target: str, run_id: str) -> Iterator[Lease]:
    """Wait for the server's lock and take its lease; whoever held one before can write no more.

    Raises: WarehouseUnavailableError (transient) when another run holds the lock for too long.
    """
    with warehouse.lock(f"dhis2 {target}") as session:
        with warehouse.connect() as connection:
            row = connection.execute("select outbox.take_lease(%s, %s)", (target, run_id)).fetchone()
            assert row is not None
        yield Lease(warehouse, target, int(row[0]), session)
