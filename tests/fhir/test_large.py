"""Pages and lines that are too large: asked for smaller, read around, or a rejected row; never a MemoryError."""

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.extract.extraction import Extraction
from opensrp_dhis2.extract.folder import load_folder
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.export import UNPACKED_BYTES, inflated, split_lines
from opensrp_dhis2.fhir.ndjson import NdjsonFolder, measure
from opensrp_dhis2.fhir.page import HEAD_BYTES, MOST_BYTES, TOO_LARGE, Page
from opensrp_dhis2.fhir.unreadable import list_stamps, read_ids, read_window
from opensrp_dhis2.http.deadline import Limits
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.keycloak import ALWAYS
from tests.support.sql import rows

COUNT = 60
TIGHT = Limits(most_bytes=150_000)
LINE = b'{"resourceType":"Flag","id":"%s","meta":{"versionId":"1","lastUpdated":"2026-11-20T10:00:00Z"}%s}\n'
LONG = LINE % (b"long", b',"x":"' + b"x" * MOST_BYTES + b'"')
LINES = LINE % (b"a", b"") + LONG + b"\n" + LINE % (b"b", b"")


@pytest.fixture
def url() -> Iterator[str]:
    """A server of resources that are as large as a few pages may be, five of one instant, and one too large alone."""
    store = FhirStore()
    for number in range(COUNT):
        size = 200_000 if number == 17 else 10_000
        at = 1_795_200_000_000 + (0 if number in range(15, 20) else 1 + number * 60_000)
        store.put({"resourceType": "Flag", "id": f"f{number}", "x": "x" * size}, stamp_ms=at)
    with running(create_app(store)) as address:
        yield f"{address}/fhir"


def test_smaller_pages_are_asked_for_until_what_is_too_large_stands_alone(url: str) -> None:
    found, rejected = set[str](), set[tuple[str | None, str]]()
    with FhirClient(url, page_size=COUNT, limits=TIGHT) as client:
        for page in read_window(client, "Flag", ALWAYS):
            found |= {one.id for one in page.resources}
            rejected |= {(one.id, one.reason) for one in page.rejected}
    assert found == {f"f{number}" for number in range(COUNT)} - {"f17"}
    assert rejected == {("f17", TOO_LARGE)}


def test_by_id_too_and_its_stamp_is_listed(url: str) -> None:
    with FhirClient(url, limits=TIGHT) as client:
        pages = list(read_ids(client, "Flag", [f"f{number}" for number in range(COUNT)]))
        listed = {one.id for stamps in list_stamps(client, "Flag") for one in stamps}
    assert {one.id for page in pages for one in page.resources} == listed - {"f17"}
    assert [(one.id, one.reason) for page in pages for one in page.rejected] == [("f17", TOO_LARGE)]


@pytest.mark.parametrize("name", ["Flag.ndjson", "Flag.ndjson.gz"])
def test_a_line_that_is_too_long_is_a_rejected_and_counted_row(tmp_path: Path, warehouse: Warehouse, name: str) -> None:
    packed = gzip.compress(LINES, 1) if name.endswith(".gz") else LINES
    (tmp_path / name).write_bytes(packed)
    content = measure(tmp_path / name)
    assert (content.line_count, content.digest) == (3, hashlib.sha256(LINES).hexdigest())
    result = load_folder(NdjsonFolder(tmp_path), warehouse, "Flag", Extraction())
    assert (result.read, result.inserted, result.rejected) == (3, 2, 1)
    assert rows(warehouse, "select reason, body from raw.rejected") == [(TOO_LARGE, LONG[:HEAD_BYTES])]


def test_a_line_of_an_export_too(tmp_path: Path) -> None:
    page = Page()
    chunks = (LINES[first : first + UNPACKED_BYTES] for first in range(0, len(LINES), UNPACKED_BYTES))
    for line in split_lines(chunks):
        assert len(line) <= MOST_BYTES + UNPACKED_BYTES
        page.add("Flag", line)
    assert [one.id for one in page.resources] == ["a", "b"]
    assert [(one.reason, one.body) for one in page.rejected] == [(TOO_LARGE, LONG[:HEAD_BYTES])]


@pytest.mark.parametrize("times", [1, 2])
def test_gzip_is_unpacked_a_little_at_a_time_and_to_its_end(times: int) -> None:
    size = 20 * UNPACKED_BYTES + 12_345
    parts = [gzip.compress(b" " * size), gzip.compress(b"x" * 7)]
    chunks = [whole[first : first + 1000] for whole in parts for first in range(0, len(whole), 1000)]
    if times == 2:
        chunks = [gzip.compress(b"".join(chunks))]
    unpacked = [len(part) for part in inflated(inflated(iter(chunks)))]
    assert sum(unpacked) == size + 7
    assert max(unpacked) <= UNPACKED_BYTES
    with pytest.raises(EOFError):
        list(inflated(iter([parts[0][:-9]])))
