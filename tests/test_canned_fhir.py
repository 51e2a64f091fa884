"""The server for benchmarks gives every resource once, whatever the window and the encoding."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.server import running

from bench.canned_fhir import Canned, create_canned_app

COUNT = 1_234


@pytest.fixture(scope="module")
def canned() -> Canned:
    return Canned(COUNT, page_size=100)


@pytest.fixture(scope="module")
def client(canned: Canned) -> Iterator[httpx.Client]:
    with running(create_canned_app(canned)) as url, httpx.Client(base_url=url) as opened:
        yield opened


def read(client: httpx.Client, window: str, encoding: str) -> tuple[list[str], int]:
    """Give the ids of a window and how many pages they came in."""
    url: str | None = f"/fhir/Observation?_sort=_lastUpdated,_id&_count=100{window}"
    found: list[str] = []
    page_count = 0
    while url:
        answer = client.get(url, headers={"Accept-Encoding": encoding})
        page: Any = answer.json()
        assert answer.headers.get("content-encoding", "identity") == encoding or "entry" not in page
        found += [entry["resource"]["id"] for entry in page.get("entry", ())]
        page_count += 1
        url = next((link["url"] for link in page.get("link", ()) if link["relation"] == "next"), None)
    return found, page_count


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_every_resource_comes_once(client: httpx.Client, canned: Canned, encoding: str) -> None:
    found, page_count = read(client, "", encoding)
    assert found == [json.loads(line)["id"] for line in canned.ndjson()]
    assert (len(set(found)), page_count) == (COUNT, 13)


@pytest.mark.parametrize("edge", ["2020-05-05T05:05:05.555Z", "2020-01-01T00:00:00.000Z", "2019-01-01T00:00:00.000Z"])
def test_half_open_windows_split_without_loss_or_overlap(client: httpx.Client, edge: str) -> None:
    before, _ = read(client, f"&_lastUpdated=lt{edge}", "gzip")
    after, _ = read(client, f"&_lastUpdated=ge{edge}", "gzip")
    assert len(before) + len(after) == len(set(before + after)) == COUNT
    count = client.get(f"/fhir/Observation?_summary=count&_lastUpdated=ge{edge}").json()["total"]
    assert count == len(after)


def test_other_types_are_empty(client: httpx.Client) -> None:
    assert client.get("/fhir/Patient?_count=100").json()["total"] == 0


def test_a_resource_is_of_the_size_of_a_real_one(canned: Canned) -> None:
    assert 1_700 < len(canned.resources(0)[0]) < 1_900
