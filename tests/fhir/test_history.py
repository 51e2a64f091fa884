"""The history of a type, read for its deletions, as HAPI was recorded to answer."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opensrp_dhis2.errors import FhirUnavailableError, HistoryRefusedError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.history import Deleted, deletions
from tests.support.fhir_recording import read_recording
from tests.support.fhir_script import Answer, scripted
from tests.support.fhir_server import FhirServer

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
AT_MS = round(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000)


def found(url: str, since: datetime = SINCE) -> dict[str, int]:
    with FhirClient(url) as client:
        told = [one for some in deletions(client, "Flag", since) for one in some]
    assert len({one.id for one in told}) == len(told)
    return {one.id: one.version_id for one in told}


def history(*entries: tuple[str, str]) -> Answer:
    requests = [{"request": {"method": method, "url": url}} for method, url in entries]
    return Answer({"resourceType": "Bundle", "type": "history", "entry": requests})


def recorded_bundle(shared: Path, name: str) -> Answer:
    body: dict[str, Any] = read_recording(shared, name).response["body"]
    return Answer({**body, "link": []})


def test_a_delete_entry_without_time_and_resource_is_read_from_its_url_as_in_10d(shared: Path) -> None:
    with scripted(recorded_bundle(shared, "10d-history-instance-deleted")) as script:
        assert found(script.url) == {"hi022700-0005": 2}


def test_a_deleted_id_that_came_back_is_not_deleted_as_in_11i(shared: Path) -> None:
    recorded = recorded_bundle(shared, "11i-history-delete-recreate")
    methods = [entry["request"]["method"] for entry in recorded.body["entry"]]
    assert "DELETE" in methods
    with scripted(recorded) as script:
        assert found(script.url) == {}


@pytest.mark.parametrize("order", [1, -1])
def test_versions_are_ordered_by_number_with_their_gap_whatever_the_order_of_entries(order: int) -> None:
    entries = [("DELETE", "Flag/a/_history/10"), ("PUT", "Flag/a/_history/9"), ("DELETE", "Flag/a/_history/2")]
    entries += [("POST", "Flag/b/_history/4"), ("DELETE", "http://elsewhere/fhir/Flag/b/_history/2")]
    with scripted(history(*entries[::order])) as script:
        assert found(script.url) == {"a": 10}


def test_since_is_always_given_and_nothing_old_is_lost_as_in_10n(server: FhirServer) -> None:
    server.put(3000, stamp_ms=AT_MS)
    for number in range(0, 3000, 2):
        server.store.delete("Flag", f"f{number:05}", stamp_ms=AT_MS + number)
    server.app.state.server.history_counts["Flag/_history"] = (server.now_ms, 10)  # what 10n's cache held
    assert found(server.url) == {f"f{number:05}": 2 for number in range(0, 3000, 2)}
    assert all("_since=2026-01-01T00%3A00%3A00.000Z" in query for query in server.queries)
    assert len(server.queries) == 5


def test_writes_between_pages_bring_duplicates_and_no_loss_as_in_10b(server: FhirServer) -> None:
    server.put(1500, stamp_ms=AT_MS)
    for number in range(20):
        server.store.delete("Flag", f"f{number:05}", stamp_ms=AT_MS + 1)

    def write_after_page_1(_: Any, number: int) -> None:
        if number == 2:
            server.put(20, first=9000, stamp_ms=AT_MS + 2)

    server.watch = write_after_page_1
    assert found(server.url) == {f"f{number:05}": 2 for number in range(20)}


def test_an_expunged_resource_leaves_no_trace_as_in_11n_and_11o(server: FhirServer) -> None:
    server.put(2, stamp_ms=AT_MS)
    server.store.delete("Flag", "f00000", stamp_ms=AT_MS)
    server.store.delete("Flag", "f00001", stamp_ms=AT_MS)
    server.store.expunge("Flag", "f00001")
    assert found(server.url) == {"f00000": 2}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 501])
def test_a_refused_history_says_so(status: int) -> None:
    says = rf"Flag/_history is of no use \(HTTP {status}\)"
    with scripted(Answer({}, status)) as script, pytest.raises(HistoryRefusedError, match=says):
        found(script.url)


def test_a_server_that_is_down_is_no_refusal() -> None:
    down = [Answer({"resourceType": "OperationOutcome"}, 503)] * 4
    with scripted(*down) as script, pytest.raises(FhirUnavailableError):
        found(script.url)


def test_a_history_that_fails_on_one_resource_is_no_use_for_the_others() -> None:
    with scripted(Answer({"resourceType": "OperationOutcome"}, 500)) as script, pytest.raises(HistoryRefusedError):
        found(script.url)


@pytest.mark.parametrize("url", ["Flag/a", "Flag/a/_history/c0ffee", "Patient/a/_history/2", ""])
def test_a_history_that_names_no_versions_is_as_good_as_none(url: str) -> None:
    with scripted(history(("DELETE", url))) as script, pytest.raises(HistoryRefusedError, match="which version"):
        found(script.url)


def test_deletions_come_some_at_a_time() -> None:
    answer = history(*(("DELETE", f"Flag/f{number}/_history/2") for number in range(2500)))
    with scripted(answer) as script, FhirClient(script.url) as client:
        lists = list(deletions(client, "Flag", SINCE))
    assert [len(some) for some in lists] == [1000, 1000, 500]
    assert lists[0][0] == Deleted("f0", 2)
