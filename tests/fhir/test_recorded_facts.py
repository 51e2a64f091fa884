"""The 25 facts of contracts/hapi/FINDINGS.md, section 1, one test each, named after its recording.

Longer scenarios of the same facts: tests/test_slices.py, test_extract.py, test_deletes.py and the files beside this one.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.faults import Faults, Plan
from opensrp_dhis2_sandbox.server import running
from starlette.responses import JSONResponse

from opensrp_dhis2.extract import Extraction, extract, resweep
from opensrp_dhis2.extract.deletes import find_deletes, sweep
from opensrp_dhis2.extract.search import SLICE_SIZE
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.history import Deleted, deletions
from opensrp_dhis2.fhir.page import Resource, read_resource
from opensrp_dhis2.fhir.window import BEGINNING, Window, next_window
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.load import Load
from tests.clock import AFTER_RECORDINGS, START
from tests.fhir.script import R4, Answer, scripted
from tests.fhir_server import FhirServer, fhir_server
from tests.sandbox.conftest import MovingClock
from tests.sandbox.fhir_recording import Recording, read_recording

EVERYTHING = Window(BEGINNING, datetime(2100, 1, 1, tzinfo=UTC))
HOW = Extraction(threads=1, validate_share=0)
DAY_MS = 86_400_000
PAST_MS = 1_790_000_000_000


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with fhir_server(AFTER_RECORDINGS) as started:
        yield started


def run(server: FhirServer, warehouse: Warehouse) -> None:
    with FhirClient(server.url, page_size=50) as client:
        extract(client, warehouse, "Flag", HOW)


def rows(warehouse: Warehouse, query: str) -> list[Any]:
    with warehouse.connect() as connection:
        return connection.execute(query).fetchall()


def bodies(recording: Recording) -> list[bytes]:
    """Give the resources of a recorded Bundle, first entry first."""
    entries = recording.response["body"]["entry"]
    return [msgspec.json.encode(entry["resource"]) for entry in entries if "resource" in entry]


def load(warehouse: Warehouse, resource_type: str, found: Sequence[bytes]) -> None:
    """Load resources one after the other, as so many runs."""
    for body in found:
        resource = read_resource(resource_type, body)
        assert isinstance(resource, Resource)
        with warehouse.connect() as connection:
            connection.execute("select raw.ensure_table(%s)", (resource_type.lower(),))
            Load(connection, resource_type, source="recorded").add([resource])


def test_each_fact_of_the_findings_has_a_test_named_after_one_of_its_recordings(shared: Path) -> None:
    table = (shared / "contracts" / "hapi" / "FINDINGS.md").read_text().partition("## 1. ")[2].partition("\n## 2. ")[0]
    facts = [line.split("|")[3] for line in table.splitlines() if re.match(r"\| \d+ \|", line)]
    texts = [Path(__file__).with_name(f"test_recorded_{name}.py").read_text() for name in ("facts", "searches")]
    tests = [name for text in texts for name in re.findall(r"^def test_(\d+[a-z]?)_", text, re.MULTILINE)]
    recorded = [re.findall(r"[`/](\d+[a-z]?)(?=[-…`])", recordings) for recordings in facts]
    assert len(facts) == len(tests) == 25
    assert [number for number, names in enumerate(recorded, 1) if not {*names} & {*tests}] == []


def test_26_commit_lag_is_shorter_than_the_lag_and_what_takes_longer_lies_in_the_overlap(shared: Path) -> None:
    observed = read_recording(shared, "26-commit-lag").observed
    stamp = datetime.fromisoformat(observed["stamp"])
    visible_at = stamp + timedelta(seconds=observed["first visible to a search, s after stamp"])
    how = {"lag_seconds": HOW.lag_seconds, "overlap_seconds": HOW.overlap_seconds}
    before = next_window(None, visible_at, **how)
    assert before is not None
    assert before.end_at < stamp  # no run that came too early has passed the stamp
    hasty = next_window(None, visible_at, lag_seconds=0, overlap_seconds=0)
    assert hasty is not None
    after = next_window(hasty.end_at, visible_at + timedelta(days=1), **how)
    assert after is not None
    assert after.start_at < stamp < hasty.end_at


def test_10d_history_instance_deleted_has_no_time_so_the_search_keeps_its_bounds(
    shared: Path, server: FhirServer, warehouse: Warehouse
) -> None:
    recording = read_recording(shared, "10d-history-instance-deleted")
    entries = recording.response["body"]["entry"]
    assert not any("lastModified" in entry["response"] for entry in entries)
    deleted, told = entries[0]["request"], Answer(recording.response["body"])
    assert (deleted["method"], deleted["url"]) == ("DELETE", "Flag/hi022700-0005/_history/2")
    load(warehouse, "Flag", bodies(recording))
    with scripted(Answer(R4), told) as script, FhirClient(script.url) as client:
        since = datetime(2026, 11, 21, tzinfo=UTC)
        rows(warehouse, f"insert into raw.delete_watermark values ('{script.url}', 'Flag', '{since}') returning 1")
        assert find_deletes(client, warehouse, "Flag").deleted == 1
    assert rows(warehouse, "select id, version_id, is_deleted from raw.flag") == [("hi022700-0005", 1, True)]
    assert rows(warehouse, "select since_at < until_at from raw.delete_search") == [(True,)]


def test_10n_history_no_since_cached_count_is_not_met_for_since_is_always_given(
    shared: Path, server: FhirServer
) -> None:
    assert read_recording(shared, "10n-history-no-since-cached-count").observed["versions lost at the old end"] == 242
    server.put(1200, stamp_ms=PAST_MS)
    server.store.delete("Flag", "f00000", stamp_ms=PAST_MS)
    assert httpx.get(f"{server.url}/Flag/_history").json()["total"] == 1201  # a count that is kept for a minute
    server.put(800, first=1200, stamp_ms=PAST_MS + 1)
    with FhirClient(server.url) as client:
        assert list(deletions(client, "Flag", BEGINNING)) == [[Deleted("f00000", 2)]]


def test_10b_history_completeness_duplicates_over_pages_are_one_deletion_each(shared: Path) -> None:
    links = read_recording(shared, "10b-history-completeness").observed["links of page 1"]
    page = read_recording(shared, "10a-history-type-since").response["body"]
    gone = {entry["request"]["url"] for entry in page["entry"] if entry["request"]["method"] == "DELETE"}
    again = {**page, "link": links[:1]}
    with scripted(Answer({**page, "link": links}), Answer(again)) as script, FhirClient(script.url) as client:
        (told,) = list(deletions(client, "Flag", BEGINNING))
    assert sorted(f"Flag/{one.id}/_history/{one.version_id}" for one in told) == sorted(gone)
    assert script.asked[1].query == links[1]["url"].partition("?")[2]


def test_10o_history_ties_large_every_deletion_is_told_of_a_quiet_server(shared: Path, server: FhirServer) -> None:
    observed = read_recording(shared, "10o-history-ties-large").observed["Task _since=2026-11-21T00:00:00Z _count=500"]
    assert observed["distinct"] == observed["entries"] == observed["versions in the database"]
    server.put(observed["entries"] // 2, stamp_ms=PAST_MS)
    for one in server.truth():
        server.store.delete("Flag", one, stamp_ms=PAST_MS)
    with FhirClient(server.url) as client:
        told = [one.id for some in deletions(client, "Flag", BEGINNING) for one in some]
    assert len(told) == len(set(told)) == observed["entries"] // 2


def test_04d_expiry_page_after_a_dead_cursor_begins_the_slice_again(
    shared: Path, server: FhirServer, warehouse: Warehouse
) -> None:
    dead = read_recording(shared, "04d-expiry-page-after").response
    server.put(120, stamp_ms=server.now_ms - DAY_MS)
    gone = JSONResponse(dead["body"], dead["status"])
    server.watch = lambda request, number: gone if number == 3 else None
    run(server, warehouse)
    assert rows(warehouse, "select count(*) from raw.flag") == [(120,)]
    assert sum("_getpages" not in query for query in server.queries) == 2


def test_04f_expiry_extension_a_slice_takes_minutes_and_one_that_took_an_hour_is_read_again(
    shared: Path, server: FhirServer, warehouse: Warehouse
) -> None:
    expiry_seconds = int(read_recording(shared, "04f-expiry-extension").observed[
        "age 59.5 min: status / expiry set to now + s"][1])  # fmt: skip
    measured = msgspec.json.decode((shared / "contracts" / "hapi" / "measurements.json").read_bytes())
    assert SLICE_SIZE / min(one["per_s"] for one in measured["extraction"] if "per_s" in one) < expiry_seconds / 10
    clock, faults, calls = MovingClock(START), Faults(), list[int]()
    server.put(120, stamp_ms=server.now_ms - DAY_MS)

    def sleep_once() -> None:
        calls.append(1)
        clock.move(3661 if len(calls) == 4 else 0)

    faults.begin(Plan(), before_answer=sleep_once)
    with running(create_app(server.store, clock=clock, faults=faults)) as url:
        run(replace(server, url=f"{url}/fhir"), warehouse)
    assert rows(warehouse, "select count(*), count(distinct id) from raw.flag") == [(120, 120)]
    assert len(calls) > 4


def test_11i_history_delete_recreate_leaves_a_gap_and_the_highest_number_wins(
    shared: Path, warehouse: Warehouse
) -> None:
    recording = read_recording(shared, "11i-history-delete-recreate")
    newest, oldest = bodies(recording)
    load(warehouse, "Flag", [newest, oldest, newest])
    assert rows(warehouse, "select id, version_id from raw.flag") == [("del022035-0000", 4)]
    with scripted(Answer(recording.response["body"])) as script, FhirClient(script.url) as client:
        assert list(deletions(client, "Flag", BEGINNING)) == []


def test_24i_after_meta_add_only_a_look_at_all_tags_sees_the_new_one(
    shared: Path, server: FhirServer, warehouse: Warehouse
) -> None:
    (after,) = [msgspec.json.encode(read_recording(shared, "24i-after-meta-add").response["body"])]
    before = after.replace(b',{"system":"urn:test","code":"via-meta-add"}', b"")
    assert len(before) < len(after)
    tags = "select version_id, resource @? '$.meta.tag[*] ? (@.code == \"via-meta-add\")' from raw.flag"
    server.store.keep("Flag", "up022035-0000", 5, server.now_ms - DAY_MS, before)
    load(warehouse, "Flag", [before])
    run(server, warehouse)
    server.store.keep("Flag", "up022035-0000", 5, server.now_ms - DAY_MS, after)
    run(server, warehouse)
    assert rows(warehouse, tags) == [(5, False)]
    with FhirClient(server.url) as client:
        resweep(client, warehouse, "Flag", HOW)
        assert rows(warehouse, tags) == [(5, True)]
        load(warehouse, "Flag", [before])
        assert sweep(client, warehouse, "Flag").loaded == 0
    assert rows(warehouse, tags) == [(5, True)]


def test_11o_expunged_in_history_is_nowhere_and_the_comparison_of_ids_finds_it(
    shared: Path, server: FhirServer, warehouse: Warehouse
) -> None:
    assert read_recording(shared, "11o-expunged-in-history").observed == {"present": False}
    server.put(3, stamp_ms=server.now_ms - DAY_MS)
    run(server, warehouse)
    server.store.delete("Flag", "f00001")
    server.store.expunge("Flag", "f00001")
    with FhirClient(server.url) as client:
        assert list(deletions(client, "Flag", BEGINNING)) == []
        assert sweep(client, warehouse, "Flag").deleted == 1
    assert rows(warehouse, "select id from raw.flag where is_deleted") == [("f00001",)]


def test_21z_lenient_storage_summary_numbers_keep_the_text_that_the_server_gave(
    shared: Path, warehouse: Warehouse
) -> None:
    observed = read_recording(shared, "21z-lenient-storage-summary").observed
    kept = [observed[name]["read back (raw text)"] for name in ("decimal-precision", "long-decimal", "exponent")]
    assert kept == ["12.50", "0.1234567890123456789", "100"]
    meta = '"meta":{"versionId":"1","lastUpdated":"2026-11-21T02:27:05.830+00:00"}'
    value = '{"resourceType":"Observation","id":"o%d",%s,"valueQuantity":{"value":%s}}'
    load(warehouse, "Observation", [(value % (n, meta, text)).encode() for n, text in enumerate(kept)])
    found = rows(warehouse, "select resource #>> '{valueQuantity,value}' from raw.observation order by id")
    assert [one for (one,) in found] == kept
