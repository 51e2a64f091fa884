"""Tables as Airbyte fills them, in a database of their own."""

from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

START = datetime(2026, 11, 1, tzinfo=UTC)
TABLE = (
    "create table airbyte.{} (_airbyte_raw_id varchar primary key, _airbyte_extracted_at timestamptz not null,"
    " _airbyte_meta jsonb, id varchar, resource jsonb)"
)


class Airbyte:
    """What Airbyte does to its tables."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rows = 0
        self.sql("create schema airbyte")
        self.sql(TABLE.format("flag"))

    def sql(self, statement: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[call-overload]
            return list(cursor.fetchall()) if cursor.description else []

    def write(self, *resources: Any, at: datetime = START) -> None:
        """Append rows that were extracted at one instant."""
        for one in resources:
            self.rows += 1
            values = (f"raw-{self.rows:08d}", at, Jsonb(one))
            self.sql("insert into airbyte.flag values (%s, %s, '{}', null, %s)", *values)

    def write_many(self, count: int, at: str = "timestamptz '2026-11-01' + n * interval '1 second'") -> None:
        """Append numbered rows; `at` may use their number n."""
        self.sql(
            f"insert into airbyte.flag select 'many-' || n, {at}, '{{}}', null, jsonb_build_object('resourceType', 'Flag',"
            " 'id', 'm' || n, 'meta', jsonb_build_object('versionId', '1', 'lastUpdated', '2026-11-01T00:00:00Z'))"
            f" from generate_series(1, {count}) n"
        )
