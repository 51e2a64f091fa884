"""Speed of the extraction from a real HAPI FHIR: beside plain GETs and COPY of the same pages by as many connections.

It measures ratios within one run; it needs Java and Maven, so `make test-hapi` runs it and `make bench` does not.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from bench.canned_fhir import Canned
from bench.load import RESOURCE_TYPE, empty, fresh_warehouse, result
from opensrp_dhis2.extract import Extraction, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.window import Window
from opensrp_dhis2.warehouse.database import Warehouse
from tests.hapi.loader import Hapi
from tests.hapi.server import hapi_server, what_is_missing

RESOURCE_COUNT = 10_000
PAGE_SIZE = 500
ROUNDS = 3
WRITERS = 3
THREADS = (1, 4)
COMPILED = "-XX:TieredStopAtLevel=4"  # as a ministry's server: slower to start than for tests, then faster


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Link(msgspec.Struct):
    relation: str
    url: str


class _Page(msgspec.Struct):
    entry: list[_Entry] = []
    link: list[_Link] = []


def run(scale: float = 1.0) -> list[dict[str, Any]]:
    """Measure the extraction, or nothing where there is no Java; most of the time goes into the server's own load."""
    if what_is_missing():
        return []
    count = int(RESOURCE_COUNT * scale)
    with hapi_server(COMPILED) as url, closing(Hapi(url)) as hapi, fresh_warehouse() as warehouse:
        _fill(hapi, Canned(count))
        hapi.wait_until_past()
        return [_beside_plain(warehouse, url, count, threads) for threads in THREADS]


def _fill(hapi: Hapi, canned: Canned) -> None:
    """Write the resources in transactions of one stamp each, some at a time."""
    with ThreadPoolExecutor(WRITERS) as pool:
        blocks = map(canned.resources, range(canned.block_count))
        list(pool.map(lambda block: hapi.upload([msgspec.json.decode(resource) for resource in block]), blocks))


def _beside_plain(warehouse: Warehouse, url: str, count: int, threads: int) -> dict[str, Any]:
    extracting, plain = [], []
    for _ in range(ROUNDS):
        extracting.append(_extract_seconds(warehouse, url, count, threads))
        plain.append(_plain_seconds(warehouse, url, count, threads))
    return result(
        f"extract from HAPI with {threads} connections, resources/s; GET and COPY of the same pages",
        count / min(extracting), count / min(plain), 0.80,
    )  # fmt: skip


def _extract_seconds(warehouse: Warehouse, url: str, count: int, threads: int) -> float:
    empty(warehouse)
    started = time.perf_counter()
    with FhirClient(url, page_size=PAGE_SIZE) as client:
        how = Extraction(lag_seconds=0, threads=threads, validate_share=0)
        read = extract(client, warehouse, RESOURCE_TYPE, how).inserted
    seconds = time.perf_counter() - started
    _check("the extraction", read, count)
    return seconds


def _plain_seconds(warehouse: Warehouse, url: str, count: int, threads: int) -> float:
    """Get the pages of the windows that the extraction just read, and copy each resource into one jsonb column."""
    with warehouse.connect() as connection:
        read = connection.execute("select window_from, window_to from raw.load order by load_id").fetchall()
        connection.execute("drop table if exists plain_copy")
        connection.execute("create table plain_copy (resource jsonb)")
    windows = [Window(*ends) for ends in read]
    started = time.perf_counter()
    with (
        httpx.Client(limits=httpx.Limits(max_connections=threads), timeout=120) as http,
        ThreadPoolExecutor(threads) as pool,
    ):
        copied = sum(pool.map(lambda window: _copy(warehouse, http, url, window), windows))
    seconds = time.perf_counter() - started
    _check("plain GETs", copied, count)
    return seconds


def _check(what: str, found: int, count: int) -> None:
    if found != count:
        raise ValueError(f"{what} brought {found} of {count} resources, so both sides cannot be compared")


def _copy(warehouse: Warehouse, http: httpx.Client, url: str, window: Window) -> int:
    with (
        warehouse.connect() as connection,
        connection.cursor().copy("copy plain_copy (resource) from stdin") as copy,
    ):
        copied = 0
        for body in _bodies(http, url, window):
            copy.write_row((body,))
            copied += 1
    return copied


def _bodies(http: httpx.Client, url: str, window: Window) -> Iterator[str]:
    query = [*window.parameters(), ("_count", str(PAGE_SIZE)), ("_sort", "_lastUpdated,_id"), ("_pretty", "false")]
    answer = http.get(f"{url}/{RESOURCE_TYPE}?{urlencode(query)}", headers={"Cache-Control": "no-cache"})
    while True:
        page = msgspec.json.decode(answer.content, type=_Page)
        yield from (bytes(entry.resource).decode() for entry in page.entry)
        following = [link.url for link in page.link if link.relation == "next"]
        if not following:
            return
        answer = http.get(following[0])
