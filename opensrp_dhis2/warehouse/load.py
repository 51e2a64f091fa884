"""Pages of FHIR resources into raw tables: COPY into a staging table, then one merge, newest version winning.

It knows bytes and keys; it refuses to know where the pages come from.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import psycopg

from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.queries import query

# Of one resource, not of the connection: malformed, or larger or deeper than Postgres takes.
_REFUSALS = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, psycopg.errors.StatementTooComplex)
_ESCAPES = ((b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"), (b"\r", b"\\r"))


class RawResource(Protocol):
    """What a raw row needs of a resource."""

    @property
    def id(self) -> str: ...
    @property
    def version_id(self) -> int: ...
    @property
    def last_updated(self) -> datetime: ...
    @property
    def body(self) -> bytes: ...


class Refused(Protocol):
    """What cannot become a raw row, and why."""

    @property
    def id(self) -> str | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def body(self) -> bytes: ...


@dataclass
class LoadCounts:
    """Rows of one load."""

    load_id: int = 0
    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0


def table_name(resource_type: str) -> str:
    """Return the raw table of a type: QuestionnaireResponse is raw.questionnaire_response."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", resource_type).lower()


class Load:
    """One load of one type in the caller's transaction; call `add` for each page, then `counts`."""

    def __init__(
        self, connection: Connection, resource_type: str, *, source: str,
        window: tuple[datetime, datetime] | None = None, is_present: bool = False, is_resweep: bool = False,
    ) -> None:  # fmt: skip
        """Begin it.

        Args: `is_present` says that the source tells the present state only, and no older versions; `is_resweep` that
        other tags of a known version are taken too.
        """
        self._connection, self._type, self._table = connection, resource_type, table_name(resource_type)
        self._options = (is_present, is_resweep)
        [(self.load_id, self._incoming)] = connection.execute(
            "select * from raw.begin_load(%s, %s, %s, %s, %s)",
            (self._table, source, resource_type, *(window or (None, None))),
        )

    def add(self, resources: Sequence[RawResource], rejected: Iterable[Refused] = ()) -> None:
        """Load one page; what Postgres refuses goes to raw.rejected, the rest goes on."""
        for refused in rejected:
            self._reject(refused.id, refused.reason, refused.body)
        try:
            if resources:
                self._merge(resources)
        except _REFUSALS:
            self._halve(resources)

    def counts(self) -> LoadCounts:
        """Return the rows of this load so far."""
        [row] = self._connection.execute(query("raw_load", "counts"), {"load_id": self.load_id})
        return LoadCounts(*row)

    def _merge(self, resources: Sequence[RawResource]) -> None:
        with self._connection.transaction():
            copied = f"copy {self._incoming} (id, version_id, last_updated, resource) from stdin"
            with self._connection.cursor().copy(copied.encode()) as copy:
                copy.write(b"".join(map(_line, resources)))
            self._connection.execute(
                "select raw.merge_incoming(%s, %s, %s, %s, %s, %s)",
                (self._table, self._type, self.load_id, self._incoming, *self._options),
            )

    def _halve(self, resources: Sequence[RawResource]) -> None:
        """Find the resources that Postgres refuses by halving; all others are loaded."""
        for half in (resources[: len(resources) // 2], resources[len(resources) // 2 :]):
            try:
                if half:
                    self._merge(half)
            except _REFUSALS as error:
                if len(half) == 1:
                    reason = f"Postgres refuses it: {type(error).__name__}"
                    self._reject(half[0].id, reason, half[0].body)
                else:
                    self._halve(half)

    def _reject(self, resource_id: str | None, reason: str, body: bytes) -> None:
        refused = {"resource_type": self._type, "id": resource_id, "reason": reason, "body": body}
        self._connection.execute(query("raw_load", "reject"), refused | {"load_id": self.load_id})
        self._connection.execute(query("raw_load", "count_rejected"), {"load_id": self.load_id})


def _line(resource: RawResource) -> bytes:
    body = resource.body
    for plain, escaped in _ESCAPES:
        body = body.replace(plain, escaped)
    return b"%b\t%d\t%b\t%b\n" % (
        resource.id.encode(), resource.version_id, resource.last_updated.isoformat().encode(), body,
    )  # fmt: skip


def keep_invalid(connection: Connection, resource_type: str, resource: RawResource, problem: str) -> None:
    """Keep what validation says of a resource that is loaded as it is."""
    told = {"resource_type": resource_type, "id": resource.id, "version_id": resource.version_id, "problem": problem}
    connection.execute(query("raw_load", "keep_invalid"), told)
