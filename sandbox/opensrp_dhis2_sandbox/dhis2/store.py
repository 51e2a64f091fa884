"""Keeps the sandbox server's state in SQLite, in a file or in memory: values, completions, the rest as documents.

It knows tables; what may be written is decided before.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from opensrp_dhis2_sandbox.dhis2.imports import Completion, DataValue, Json, Key

TABLES = (
    "create table if not exists data_value (data_element text, period text, org_unit text, coc text, aoc text, "
    "value text, comment text, follow_up int, is_deleted int, stored_by text, created_at text, last_updated_at text, "
    "primary key (data_element, period, org_unit, coc, aoc))",
    "create index if not exists data_value_slice on data_value (period, org_unit)",
    "create table if not exists completion (data_set text, period text, org_unit text, aoc text, completed_on text, "
    "stored_by text, is_completed int, primary key (data_set, period, org_unit, aoc))",
    "create table if not exists document (kind text, id text, body text, primary key (kind, id))",
)
UPSERT = (
    "insert into data_value values (?,?,?,?,?,?,?,?,?,?,?,?) on conflict do update set value = excluded.value, "
    "comment = excluded.comment, follow_up = excluded.follow_up, is_deleted = excluded.is_deleted, "
    "stored_by = excluded.stored_by, created_at = excluded.created_at, last_updated_at = excluded.last_updated_at"
)
# An empty list of periods means all of them.
READ_VALUES = (
    "select * from data_value where ?1 = '[]' or period in (select value from json_each(?1)) "
    "order by period, created_at, data_element, rowid"
)
CLEAR = (
    "delete from data_value where ?1 = '[]' or period in (select value from json_each(?1))",
    "delete from completion where ?1 = '[]' or period in (select value from json_each(?1))",
)
READ_VALUE = "select * from data_value where data_element = ? and period = ? and org_unit = ? and coc = ? and aoc = ?"
DROP_COMPLETION = "delete from completion where data_set = ? and period = ? and org_unit = ? and aoc = ?"


class Store:
    """The state of one sandbox server; every method is safe to call from any thread."""

    def __init__(self, path: Path | None = None) -> None:
        self._connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._lock = threading.RLock()
        for statement in ("pragma journal_mode = wal", "pragma synchronous = off", *TABLES):
            self._connection.execute(statement)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the store for one read-and-write; nothing is kept when the block raises."""
        with self._lock:
            self._connection.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def _rows(self, statement: str, values: Iterable[object] = ()) -> list[tuple[object, ...]]:
        with self._lock:
            return self._connection.execute(statement, tuple(values)).fetchall()

    def value(self, key: Key) -> DataValue | None:
        """Read what is stored under a key, tombstones included."""
        with self._lock:
            row = self._connection.execute(READ_VALUE, key).fetchone()
        return _data_value(row) if row else None

    def values(self, periods: Iterable[str] = ()) -> Iterator[tuple[Key, DataValue]]:
        """Read the values of some periods, or all."""
        for row in self._rows(READ_VALUES, (json.dumps(list(periods)),)):
            yield Key(*row[:5]), _data_value(row)  # type: ignore[arg-type]

    def put_values(self, writes: Mapping[Key, DataValue]) -> None:
        """Write values over whatever is there."""
        rows = [(*key, *value) for key, value in writes.items()]
        with self._lock:
            self._connection.executemany(UPSERT, rows)

    def clear_values(self, periods: Iterable[str] = ()) -> None:
        """Forget the values and completions of some periods, or all."""
        wanted = json.dumps(list(periods))
        for statement in CLEAR:
            self._rows(statement, (wanted,))

    def has_period(self, period: str) -> bool:
        """Return whether any value or completion ever used the period."""
        return bool(self._rows("select 1 from document where kind = 'period' and id = ?", (period,)))

    def see_periods(self, periods: Iterable[str]) -> None:
        """Remember periods as known to the server."""
        with self._lock:
            rows = [(period,) for period in set(periods)]
            self._connection.executemany("insert or ignore into document values ('period', ?, '{}')", rows)

    def completions(self) -> list[tuple[Completion, str, bool]]:
        """Read completions, each with who stored it and whether it still stands."""
        rows = self._rows("select * from completion order by period, org_unit")
        return [(Completion(*row[:5]), str(row[5]), bool(row[6])) for row in rows]  # type: ignore[arg-type]

    def put_completion(self, completion: Completion, stored_by: str, is_completed: bool = True) -> bool:
        """Write a completion and say whether one was there before."""
        with self._lock:
            was_there = self.drop_completion(completion[:4])
            self._rows("insert into completion values (?,?,?,?,?,?,?)", (*completion, stored_by, is_completed))
            return was_there

    def drop_completion(self, cell: tuple[str, ...]) -> bool:
        """Remove the completion of data set, period, org unit and attribute combo, and say whether it was there."""
        with self._lock:
            return self._connection.execute(DROP_COMPLETION, cell).rowcount > 0

    def documents(self, kind: str) -> dict[str, Json]:
        """Read every document of a kind, by id."""
        rows = self._rows("select id, body from document where kind = ? order by rowid", (kind,))
        return {str(name): json.loads(str(body)) for name, body in rows}

    def put_document(self, kind: str, name: str, body: Json) -> None:
        """Write a document over the one of the same kind and id."""
        place = "insert into document values (?, ?, ?) on conflict (kind, id) do update set body = excluded.body"
        self._rows(place, (kind, name, json.dumps(body)))

    def drop_document(self, kind: str, name: str) -> None:
        """Remove a document if it is there."""
        self._rows("delete from document where kind = ? and id = ?", (kind, name))


def _data_value(row: tuple[object, ...]) -> DataValue:
    value, comment, follow_up, is_deleted, stored_by, created_at, last_updated_at = row[5:]
    flag = None if follow_up is None else bool(follow_up)
    return DataValue(value, comment, flag, bool(is_deleted), stored_by, created_at, last_updated_at)  # type: ignore[arg-type]
