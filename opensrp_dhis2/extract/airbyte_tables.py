"""A schema that Airbyte fills, wherever its Postgres is: one table a type, `resource` jsonb and `_airbyte_extracted_at`.

It knows the tables and their times; it refuses to know FHIR and our own tables.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from opensrp_dhis2.errors import ConfigurationError, FhirUnavailableError
from opensrp_dhis2.warehouse.database import CONNECT_LIMITS, LOCK_WAIT_SECONDS, Connection, refuse_misread
from opensrp_dhis2.warehouse.queries import query

AT = "_airbyte_extracted_at"
WANTED = {"resource": "jsonb", AT: "timestamp with time zone"}


class Tally(NamedTuple):
    """Rows of a part of a table, the resources that they are versions of, and the md5 of their ids in order."""

    row_count: int
    source_count: int
    digest: str


@dataclass(frozen=True)
class AirbyteSchema:
    """A schema in a database of the same or of another server; `url` is a URL or a libpq connection string."""

    url: str = field(repr=False)
    schema: str = "airbyte"

    @property
    def source(self) -> str:
        """Name it in rows and messages, without user and password."""
        parts = self._parts()
        host = f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}"
        return f"airbyte {host}/{parts.get('dbname') or ''}/{self.schema}"

    @property
    def password(self) -> str:
        return str(self._parts().get("password") or "")

    @contextmanager
    def table(self, resource_type: str) -> Iterator["AirbyteTable"]:
        """Open a type's table in one snapshot, to read only.

        Raises: FhirUnavailableError (transient) for a server out of reach, ConfigurationError for a table that is not
        there, may not be read or has not the columns.
        """
        try:
            connection = psycopg.connect(**CONNECT_LIMITS | self._parts() | {"client_encoding": "utf8"})
        except psycopg.OperationalError as error:
            cause = str(error).strip().splitlines()[0]
            raise FhirUnavailableError(
                f"{self.source} cannot be reached: {cause}. Check FHIR_AIRBYTE_URL and that the server runs"
            ) from None
        with connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            connection.execute(f"set lock_timeout = '{LOCK_WAIT_SECONDS:.0f}s'")  # Airbyte swaps its tables
            yield AirbyteTable(connection, self.source, self.schema, resource_type)

    def _parts(self) -> dict[str, Any]:
        try:
            parts = conninfo_to_dict(self.url.replace("postgresql+psycopg://", "postgresql://", 1))
        except psycopg.ProgrammingError:
            raise ConfigurationError(
                "FHIR_AIRBYTE_URL is not a database URL: write postgresql://user:password@host:5432/database, the "
                "password percent-encoded"
            ) from None
        refuse_misread("FHIR_AIRBYTE_URL", parts.get("host"), parts.get("port"), parts.get("dbname"))
        return parts


class AirbyteTable:
    """The table of one type in one snapshot. Raises, wherever it reads: as `AirbyteSchema.table`."""

    def __init__(self, connection: Connection, source: str, schema: str, resource_type: str) -> None:
        self._connection, self._place = connection, f"{source}.{resource_type.lower()}"
        self._table = sql.Identifier(schema, self._find(schema, resource_type))

    def newest(self, start_at: datetime) -> tuple[int, datetime | None]:
        """Count the rows since an instant, and give the newest time of all rows; none when there is no row."""
        [(count, newest_at)] = self._rows("newest", start_at=start_at)
        return count, newest_at

    def cut(self, start_at: datetime, end_at: datetime, size: int) -> list[tuple[datetime, datetime, int]]:
        """Cut what came since an instant into parts of about so many rows, as from, to, rows; ties stay together."""
        cuts = self._rows("cut", start_at=start_at, size=size)
        starts = [start_at, *(at for at, _ in cuts[1:])]
        return list(zip(starts, [*starts[1:], end_at], (count for _, count in cuts), strict=True))

    def tally(self, start_at: datetime, end_at: datetime) -> Tally:
        """Count a part by the source's own SQL."""
        return Tally(*self._rows("tally", start_at=start_at, end_at=end_at)[0])

    def bodies(self, start_at: datetime, end_at: datetime) -> Iterator[bytes]:
        """Yield the resources of a part."""
        return (body or b"" for (body,) in self._copied("bodies", ["bytea"], start_at=start_at, end_at=end_at))

    def bodies_of(self, ids: Sequence[str]) -> Iterator[bytes]:
        """Yield all versions of these resources; reads the whole table."""
        return (body for (body,) in self._copied("bodies_of", ["bytea"], ids=list(ids)))

    def stamps(self) -> Iterator[tuple[str | None, bytes]]:
        """Yield the id of every row, and its resource with no more than its type, id and meta."""
        return self._copied("stamps", ["text", "bytea"])

    def _find(self, schema: str, resource_type: str) -> str:
        """Find the table as Airbyte may have named it: Patient, patient; questionnaireresponse, questionnaire_response."""
        of = {"schema": schema, "name": resource_type.lower()}
        with self._translated():
            rows = self._connection.execute(query("airbyte", "columns"), of).fetchall()
        names = sorted({name for name, _, _ in rows})
        if len(names) != 1:
            found = f"there are {' and '.join(names)}" if names else "it is not there, or this account may not read it"
            raise ConfigurationError(
                f"{self._place}: {found}. Let Airbyte write one table for each of FHIR_RESOURCE_TYPES, and correct "
                "FHIR_AIRBYTE_SCHEMA or the account of FHIR_AIRBYTE_URL"
            )
        columns = {column: kind for _, column, kind in rows}
        wrong = [f"{name} ({kind})" for name, kind in WANTED.items() if columns.get(name) != kind]
        if wrong:
            raise ConfigurationError(
                f"{self._place} has no column {' and no '.join(wrong)}: let the connection write each resource "
                "whole, as jsonb (json is not enough), as destination tables of version 2 have it"
            )
        return str(names[0])

    def _query(self, name: str) -> bytes:
        rows = sql.SQL("with airbyte_row as (select * from {}) ").format(self._table)
        return rows.as_bytes(self._connection) + query("airbyte", name).encode()

    def _rows(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        with self._translated():
            return self._connection.execute(self._query(name), values).fetchall()

    def _copied(self, name: str, types: Sequence[str], **values: Any) -> Iterator[Any]:
        statement = b"copy (%b) to stdout (format binary)" % self._query(name)
        with self._translated(), self._connection.cursor().copy(statement, values) as copy:
            copy.set_types(types)
            yield from copy.rows()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable) as error:  # swapped by Airbyte just now
            raise FhirUnavailableError(
                f"{self._place} could not be read to its end ({type(error).__name__}): try later"
            ) from None
        except psycopg.errors.InsufficientPrivilege:
            raise ConfigurationError(
                f"{self._place} may not be read: let its owner grant select to the account of FHIR_AIRBYTE_URL"
            ) from None
        except psycopg.DatabaseError as error:
            raise ConfigurationError(
                f"{self._place} cannot be read ({type(error).__name__} {error.sqlstate}): look at it with this account"
            ) from None
