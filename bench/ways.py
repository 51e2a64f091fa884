"""Speed of all ways in, side by side: the same resources by files, by REST search, by $export and from Airbyte's tables.

Each way runs in a process of its own, whose memory is measured too; the rates are held to that of plain NDJSON.
"""

import gzip
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from opensrp_dhis2_sandbox.server import serve_forever
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from bench.canned_fhir import Canned, create_canned_app
from bench.extract import MOST_MEGABYTES, SPAWN, canned_server
from bench.load import RESOURCE_TYPE, empty, fresh_warehouse, result
from opensrp_dhis2.connections import open_source
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse

RESOURCE_COUNT = 500_000
FILES = 4
LEAST = {"ndjson.gz": 0.8, "search": 0.6, "export": 0.5, "airbyte": 0.5}  # beside NDJSON
TABLE = (
    "create schema airbyte; create table airbyte.observation (_airbyte_raw_id bigint generated always as identity,"
    " _airbyte_extracted_at timestamptz not null, resource jsonb);"
    " create index on airbyte.observation (_airbyte_extracted_at)"
)


class Run(NamedTuple):
    """One way's rate in resources a second, and the peak of its process in MB."""

    rate: float
    megabytes: float


def run(scale: float = 1.0) -> list[dict[str, Any]]:
    """Measure the ways; a scale of 1 takes some five minutes."""
    count = int(RESOURCE_COUNT * scale)
    with (
        fresh_warehouse() as warehouse,
        tempfile.TemporaryDirectory() as folder,
        canned_server(count, serve=_serve) as url,
    ):
        for packed in (False, True):
            _write_files(Path(folder, "gz" if packed else "plain"), Canned(count), packed)
        _fill_airbyte(warehouse, Canned(count))
        ways = {
            "ndjson": {"fhir_source": "ndjson", "fhir_ndjson_url": f"{folder}/plain"},
            "ndjson.gz": {"fhir_source": "ndjson", "fhir_ndjson_url": f"{folder}/gz"},
            "search": {"fhir_source": "search", "fhir_base_url": f"{url}/fhir"},
            "export": {"fhir_source": "export", "fhir_base_url": f"{url}/fhir"},
            "airbyte": {"fhir_source": "airbyte"},
        }
        runs = {name: _run_apart(warehouse, values, count) for name, values in ways.items()}
    return [
        *(result(f"{name}, {count:,} resources, a second; ndjson", runs[name].rate, runs["ndjson"].rate, least)
          for name, least in LEAST.items()),
        *(result(f"memory allowed, MB; peak of {name}", MOST_MEGABYTES, run.megabytes, 1.0) for name, run in runs.items()),
    ]  # fmt: skip


def _run_apart(warehouse: Warehouse, values: dict[str, str], count: int) -> Run:
    empty(warehouse)
    with SPAWN.Pool(1) as pool:
        url = warehouse.engine.url.render_as_string(hide_password=False)
        return Run(*pool.apply(_run, (url, values, count)))


def _run(warehouse_url: str, values: dict[str, str], count: int) -> tuple[float, float]:
    """Read everything by one way; the search for deletions is no part of it."""
    settings = Settings(fhir_validate_share=0, fhir_resource_types=[RESOURCE_TYPE], **values)
    warehouse = Warehouse(warehouse_url)
    with FhirClient(settings.fhir_base_url) as client:
        started = time.perf_counter()
        read = open_source(settings, warehouse, client).extract(RESOURCE_TYPE)
        seconds = time.perf_counter() - started
    warehouse.close()
    if read.inserted != count or read.incomplete:
        raise ValueError(f"{values['fhir_source']} brought {read.inserted} of {count} resources: {read.note}")
    return count / seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _write_files(folder: Path, canned: Canned, packed: bool) -> None:
    folder.mkdir()
    for number in range(FILES):
        path = folder / f"{RESOURCE_TYPE}-{number}.ndjson{'.gz' if packed else ''}"
        with gzip.open(path, "wb", compresslevel=6) if packed else path.open("wb") as file:
            file.writelines(_lines(canned, number))


def _lines(canned: Canned, number: int) -> Iterator[bytes]:
    """Yield the lines of one of the files: every fourth block."""
    for block in range(number, canned.block_count, FILES):
        yield from (resource + b"\n" for resource in canned.resources(block))


def _fill_airbyte(warehouse: Warehouse, canned: Canned) -> None:
    """Write what Airbyte would have: one instant for the resources of a page."""
    with warehouse.connect() as connection:
        connection.execute(TABLE)
        with connection.cursor().copy("copy airbyte.observation (_airbyte_extracted_at, resource) from stdin") as copy:
            for block in range(canned.block_count):
                at = datetime.fromtimestamp(canned.stamp_ms(block) / 1000, UTC).isoformat().encode()
                copy.write(b"".join(b"%b\t%b\n" % (at, resource) for resource in canned.resources(block)))
    with warehouse.connect() as connection:
        connection.execute("analyze airbyte.observation")


def _serve(count: int, page_delay_seconds: float, port: int) -> None:
    serve_forever(create_export_app(Canned(count), create_canned_app), port)


def create_export_app(canned: Canned, make_search: Callable[[Canned], Starlette]) -> Starlette:
    """Make a server that searches, and that has an export of everything ready at once."""

    async def kick_off(request: Request) -> Response:
        return Response(status_code=202, headers={"Content-Location": f"{_base(request)}/$export-poll-status?_jobId=1"})

    async def status(request: Request) -> Response:
        files = [{"type": canned.resource_type, "url": f"{_base(request)}/Binary/{n}"} for n in range(FILES)]
        now = datetime.now(UTC).isoformat()
        return JSONResponse({"transactionTime": now, "request": f"{_base(request)}/$export", "output": files})

    async def file(request: Request) -> Response:
        blocks = range(request.path_params["number"], canned.block_count, FILES)
        bodies = (b"\n".join(canned.resources(block)) + b"\n" for block in blocks)
        return StreamingResponse(bodies, media_type="application/fhir+ndjson")

    return Starlette(
        routes=[
            Route("/fhir/$export", kick_off),
            Route("/fhir/$export-poll-status", status, methods=["GET", "DELETE"]),
            Route("/fhir/Binary/{number:int}", file),
            Mount("/", make_search(canned)),
        ]
    )


def _base(request: Request) -> str:
    return f"http://{request.url.netloc}/fhir"
