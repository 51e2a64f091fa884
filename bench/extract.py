"""Speed of the extraction over HTTP: beside the load of the same resources from a file, and with threads beside without.

It measures ratios within one run against a canned server in a process of its own, so that the client is what is measured.
"""

import multiprocessing
import resource
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import httpx
from opensrp_dhis2_sandbox.server import serve_forever

from bench.canned_fhir import Canned, create_canned_app
from bench.load import RESOURCE_TYPE, empty, fresh_warehouse, load_seconds, result
from opensrp_dhis2.extract import Extraction, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse

RESOURCE_COUNT = 40_000
DELAYED_RESOURCE_COUNT = 60_000
MEMORY_RESOURCE_COUNT = 500_000
MOST_MEGABYTES = 400
CERTIFIED = 0.72  # 0.80 without certificates, which may cost a tenth
PAGE_DELAY_SECONDS = 0.1
ROUNDS = 5
Serve = Callable[[int, float, int], None]
SPAWN = multiprocessing.get_context("spawn")


def run(scale: float = 1.0) -> list[dict[str, Any]]:
    """Measure the extraction; a scale of 1 takes about a minute."""
    count = int(RESOURCE_COUNT * scale)
    with fresh_warehouse() as warehouse:
        return [
            _beside_file(warehouse, count),
            _beside_one_thread(warehouse, int(DELAYED_RESOURCE_COUNT * scale)),
            _memory(warehouse, int(MEMORY_RESOURCE_COUNT * scale)),
        ]


def _beside_file(warehouse: Warehouse, count: int) -> dict[str, Any]:
    with canned_server(count) as url, tempfile.TemporaryDirectory() as folder:
        Path(folder, f"{RESOURCE_TYPE}.ndjson").write_bytes(b"".join(Canned(count).ndjson()))
        pairs = [(extract_seconds(warehouse, url, 4), load_seconds(warehouse, Path(folder))) for _ in range(ROUNDS)]
    extracted, loaded = (count / min(seconds) for seconds in zip(*pairs, strict=True))
    return result("extract over HTTP, resources/s; load of the same from a file", extracted, loaded, CERTIFIED)


def _beside_one_thread(warehouse: Warehouse, count: int) -> dict[str, Any]:
    with canned_server(count, PAGE_DELAY_SECONDS) as url:
        four, one = (count / extract_seconds(warehouse, url, threads) for threads in (4, 1))
    return result("extract, 100 ms a page, 4 threads, resources/s; 1 thread", four, one, 3.0)


def _memory(warehouse: Warehouse, count: int) -> dict[str, Any]:
    with canned_server(count) as url, SPAWN.Pool(1) as pool:
        peak = pool.apply(_peak_megabytes, (warehouse.engine.url.render_as_string(hide_password=False), url))
    return result(f"memory allowed, MB; peak of extracting {count:,} resources", MOST_MEGABYTES, peak, 1.0)


def _peak_megabytes(warehouse_url: str, fhir_url: str) -> float:
    warehouse = Warehouse(warehouse_url)
    extract_seconds(warehouse, fhir_url, 4)
    warehouse.close()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def extract_seconds(warehouse: Warehouse, url: str, threads: int) -> float:
    """Extract everything into an empty raw table."""
    empty(warehouse)
    with FhirClient(f"{url}/fhir") as client:
        started = time.perf_counter()
        extract(client, warehouse, RESOURCE_TYPE, Extraction(threads=threads, validate_share=0))
        return time.perf_counter() - started


@contextmanager
def canned_server(count: int, page_delay_seconds: float = 0.0, *, serve: Serve | None = None) -> Iterator[str]:
    """Serve canned resources from another process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = SPAWN.Process(target=serve or _serve, args=(count, page_delay_seconds, port), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_served(url, server)
        yield url
    finally:
        server.terminate()
        server.join()


def _serve(count: int, page_delay_seconds: float, port: int) -> None:
    serve_forever(create_canned_app(Canned(count), page_delay_seconds=page_delay_seconds), port)


def _wait_until_served(url: str, server: SpawnProcess) -> None:
    while server.is_alive():
        try:
            httpx.get(f"{url}/fhir/metadata")
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise ChildProcessError(f"the canned server at {url} did not start")
