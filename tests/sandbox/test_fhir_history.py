"""The recorded histories of HAPI FHIR, asked again of the sandbox after the same writes.

10l and 10n are experiments over several requests; 10b is held by its numbers.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running

from tests.support.fhir_recording import SERVER_ADDRESS, assert_same, read_recording

from .conftest import FhirSandbox, MovingClock

LATER = (
    "10c-history-type-page2 10d-history-instance-deleted 10e-history-instance-updated 10f-history-system-since "
    "10g-history-at 10h-history-since-future 10i-history-unknown-id 10j-history-sort 10k-history-summary-count "
    "10m-history-elements"
)


def flag(recorded: dict[str, Any], resource_id: str, tag: str, text: str = "v1") -> dict[str, Any]:
    """Write a Flag as the recorder did."""
    tags = {"tag": [{"system": "urn:test", "code": tag}]}
    return {**recorded, "id": resource_id, "meta": tags, "code": {**recorded["code"], "text": text}}


def write_versions(store: FhirStore, clock: MovingClock, recorded: dict[str, Any]) -> None:
    """Write 500 Flags in one transaction, update each second, delete each fifth of the first hundred."""
    for number in range(500):
        store.put(flag(recorded, f"hi022700-{number:04d}", "hi022700"))
    clock.move(0.548)
    for number in range(0, 500, 2):
        store.put(flag(recorded, f"hi022700-{number:04d}", "hi022700", "v2"))
    clock.move(0.2)
    for number in range(0, 100, 5):
        store.delete("Flag", f"hi022700-{number:04d}")


def test_histories_answer_as_recorded(shared: Path) -> None:
    updated, created = read_recording(shared, "10e-history-instance-updated").response["body"]["entry"]
    recorded = created["resource"]
    clock = MovingClock(datetime(2026, 11, 21, 2, 27, 0, 963_000, tzinfo=UTC))
    store = FhirStore(clock)
    write_versions(store, clock, recorded)
    assert updated["resource"]["code"]["text"] == "v2"
    with (
        running(create_app(store, server_address=SERVER_ADDRESS)) as url,
        httpx.Client(base_url=url, verify=False) as client,
    ):
        newest = read_recording(shared, "10a-history-type-since")
        assert_same(newest, newest.replay(client))
        clock.move(1.507)
        for number in range(400):
            store.put(flag(recorded, f"hi022700n-{number:04d}", "hi022700n"))
        for name in LATER.split():
            recording = read_recording(shared, name)
            assert_same(recording, recording.replay(client), is_stamped_now=True)


@pytest.mark.parametrize("count", [50, 100, 500, 1000])
def test_a_quiet_history_is_complete_as_in_10b(fhir: FhirSandbox, shared: Path, count: int) -> None:
    observed = read_recording(shared, "10b-history-completeness").observed
    since = "2026-11-21T02:00:00.000Z"
    write_versions(fhir.store, fhir.clock, {"resourceType": "Flag", "code": {}})
    pages = list(fhir.pages(f"/fhir/Flag/_history?_since={since}&_count={count}"))
    entries = [entry for page in pages for entry in page["entry"]]
    methods = [entry["request"]["method"] for entry in entries]
    assert len({(entry["request"]["url"], entry["request"]["method"]) for entry in entries}) == len(entries)
    assert len(entries) == observed["expected versions"]
    assert {method: methods.count(method) for method in set(methods)} == observed["methods"]
    assert [page.get("total") for page in pages] == [None] * len(pages)
    assert not any("lastModified" in entry["response"] for entry in entries)


def test_since_is_inclusive_as_in_10l(fhir: FhirSandbox, shared: Path) -> None:
    observed = read_recording(shared, "10l-history-since-inclusive").observed
    fhir.put("si", 1)
    at = [fhir.get(f"/fhir/Flag/_history?_since=2026-11-21T02:20:00.{ms}Z") for ms in (123, 124)]
    assert [len(bundle.get("entry", ())) for bundle in at] == list(observed.values())


def test_without_since_a_cached_count_ends_paging_early_as_in_10n(fhir: FhirSandbox, shared: Path) -> None:
    observed = read_recording(shared, "10n-history-no-since-cached-count").observed
    old = observed["total 1st"]
    fhir.put("hc", old)
    assert fhir.get("/fhir/Flag/_history?_count=300")["total"] == old
    fhir.clock.move(20)
    fhir.put("hcn", 400)
    pages = list(fhir.pages("/fhir/Flag/_history?_count=300"))
    entries = sum(len(page["entry"]) for page in pages)
    assert (pages[0]["total"], entries) == (observed["total 2nd (after +400)"], observed["entries paged 2nd"])
    fhir.clock.move(60)
    assert fhir.get("/fhir/Flag/_history?_count=300")["total"] == old + 400
