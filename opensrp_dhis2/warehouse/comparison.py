"""What a source has of a type, held to its raw table: what differs, what is loaded.

It knows ids, versions, stamps and tags; it refuses to know how a source tells them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Literal, NamedTuple

from psycopg.rows import class_row

from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.load import table_name
from opensrp_dhis2.warehouse.queries import query

LINES_PER_WRITE = 5_000
_BLANK = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class AtSource(NamedTuple):
    """One version at the source; none for what it does not tell."""

    id: str
    version_id: int
    last_updated: datetime | None = None
    tags_md5: str | None = None


@dataclass(frozen=True)
class Difference:
    """One id that differs, with the version here, or there where it is not here; raw.compare says what each kind means."""

    id: str
    version_id: int
    kind: Literal["gone", "missing", "older", "rolled_back", "retagged", "restamped"]
    is_here: bool


@dataclass(frozen=True)
class Loaded:
    """What of the source's ids is loaded, at its version or a later one, and which are not: of them, some were rejected."""

    count: int
    digest: str
    absent_ids: list[str]
    rejected_ids: list[str]


class Comparison:
    """One comparison, in the caller's transaction: `add` what the source has, then ask."""

    def __init__(self, connection: Connection, resource_type: str) -> None:
        self._connection, self._type = connection, resource_type
        [(self._at_source,)] = connection.execute("select raw.begin_comparison()")

    def add(self, versions: Iterable[AtSource]) -> None:
        copied = f"copy {self._at_source} (id, version_id, last_updated, tags_md5) from stdin"
        with self._connection.cursor().copy(copied.encode()) as copy:
            lines = map(_line, versions)
            while block := "".join(islice(lines, LINES_PER_WRITE)):
                copy.write(block)

    def count(self) -> int:
        """Return how many distinct ids the source has."""
        counted = f"select count(distinct id) from {self._at_source}"  # noqa: S608
        [(count,)] = self._connection.execute(counted.encode())
        return int(count)

    def differences(self, *, is_whole: bool) -> list[Difference]:
        """Return what differs. Args: `is_whole` says that all of the type was added, so that the rest is gone."""
        cursor = self._connection.cursor(row_factory=class_row(Difference))
        found = "select id, version_id, difference as kind, is_here from raw.compare(%s, %s, %s, %s)"
        return cursor.execute(found, (*self._of, is_whole)).fetchall()

    def loaded(self) -> Loaded:
        [row] = self._connection.execute("select * from raw.count_loaded(%s, %s, %s)", self._of)
        return Loaded(*row)

    def findings(self, planned_to: datetime | None, began_at: datetime) -> dict[str, tuple[int, list[str]]]:
        """Count what differs of a whole type by what it means for a person, with at most 20 ids of each.

        Args: what is stamped since `planned_to` is not due; what is here since `began_at` is not held against the source.
        """
        table, resource_type, at_source = self._of
        of = {"table": table, "resource_type": resource_type, "at_source": at_source}
        found = self._connection.execute(
            query("raw_compare", "count_findings"), of | {"planned_to": planned_to, "began_at": began_at}
        )
        return {finding: (count, ids) for finding, count, ids in found}

    @property
    def _of(self) -> tuple[str, str, str]:
        return table_name(self._type), self._type, self._at_source


def _line(version: AtSource) -> str:
    stamp = version.last_updated.isoformat() if version.last_updated else _BLANK
    return f"{version.id.translate(_ESCAPES)}\t{version.version_id}\t{stamp}\t{version.tags_md5 or _BLANK}\n"
