"""What the sandbox DHIS2 promises beyond the recordings: state that outlives it, faults on order, its own doors."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.errors import ConfigurationError
from tests.support.dhis2_recording import PASSWORD, metadata_with_superusers

CLOCK = datetime.fromisoformat("2026-11-21T02:51:00")
DEFAULT = "HllvX50cXC0"
Open = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture
def open_server(shared: Path) -> Open:
    """Start a sandbox server and give a client of `pusher`."""
    metadata = metadata_with_superusers(shared)

    @contextmanager
    def start(version: str, store_path: Path | None = None) -> Iterator[httpx.Client]:
        app = create_app(metadata, version=version, clock=lambda: CLOCK, store_path=store_path)
        with running(app) as url, httpx.Client(base_url=url, auth=("pusher", PASSWORD), timeout=30) as client:
            yield client

    return start


def row(value: str, **members: Any) -> dict[str, Any]:
    given = {"dataElement": "DeHtsTst001", "period": "202509", "orgUnit": "OuFacility1", "value": value}
    return given | members


def body(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"dataSet": "DsMonthly01", "dataValues": list(rows)}


def stored(client: httpx.Client) -> list[list[Any]]:
    found: list[list[Any]] = client.get("/sandbox/state", auth=("admin", PASSWORD)).json()
    return found


def queue(client: httpx.Client, **fault: Any) -> None:
    client.post("/sandbox/faults", json=[fault], auth=("admin", PASSWORD)).raise_for_status()


def test_values_outlive_a_restart_as_the_newer_version(open_server: Open, tmp_path: Path) -> None:
    with open_server("2.41", tmp_path / "state.sqlite") as client:
        assert client.post("/api/dataValueSets", json=body(row("7"))).json()["response"]["importCount"]["imported"] == 1
    with open_server("2.43", tmp_path / "state.sqlite") as client:
        assert client.get("/api/system/info").json()["version"] == "2.43.1"
        read = client.get("/api/dataValues", params={"de": "DeHtsTst001", "pe": "202509", "ou": "OuFacility1"})
    assert read.json() == ["7"]


@pytest.mark.parametrize(
    ("kind", "is_stored"), [("hang_up_before", False), ("hang_up_after", True), ("truncated", True)]
)
def test_a_broken_connection_says_nothing_of_what_is_stored(kind: str, is_stored: bool, open_server: Open) -> None:
    with open_server("2.43") as client:
        queue(client, kind=kind)
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/api/dataValueSets", json=body(row("7")))
        assert bool(stored(client)) is is_stored
        assert client.post("/api/dataValueSets", json=body(row("7"))).status_code == 200


def test_a_proxy_answers_html_and_the_server_hears_nothing(open_server: Open) -> None:
    with open_server("2.41") as client:
        queue(client, kind="status", status=503)
        reply = client.post("/api/dataValueSets", json=body(row("7")))
        assert (reply.status_code, reply.headers["content-type"], stored(client)) == (503, "text/html", [])


def test_a_slow_answer_comes_after_the_client_gave_up_and_is_stored(open_server: Open) -> None:
    with open_server("2.41") as client:
        queue(client, kind="slow", seconds=0.5)
        with pytest.raises(httpx.ReadTimeout):
            client.post("/api/dataValueSets", json=body(row("7")), timeout=0.2)
        assert [each[5] for each in stored(client)] == ["7"]


def test_a_fault_waits_for_its_own_path_and_method(open_server: Open) -> None:
    with open_server("2.41") as client:
        queue(client, kind="status", status=502, path="/api/me", method="GET")
        assert client.post("/api/dataValueSets", json=body(row("7"))).status_code == 200
        assert [client.get("/api/me").status_code for _ in range(2)] == [502, 200]


def test_an_unknown_fault_is_refused(open_server: Open) -> None:
    with open_server("2.41") as client:
        reply = client.post("/sandbox/faults", json=[{"kind": "earthquake"}], auth=("admin", PASSWORD))
    assert reply.status_code == 400
    assert "hang_up_before" in reply.json()["message"]


def test_the_sandbox_doors_are_shut_to_plain_users(open_server: Open) -> None:
    with open_server("2.43") as client:
        assert client.get("/sandbox/state").status_code == 403
        assert client.post("/sandbox/faults", json=[]).status_code == 403


@pytest.mark.parametrize("version", ["2.41", "2.43"])
def test_a_gzipped_body_is_known_by_its_first_bytes(version: str, open_server: Open) -> None:
    packed = gzip.compress(httpx.Request("POST", "http://x", json=body(row("7"))).content)
    with open_server(version) as client:
        reply = client.post("/api/dataValueSets", content=packed, headers={"Content-Type": "application/json"})
        assert (reply.status_code, len(stored(client))) == (200, 1)


def test_2_41_keeps_the_flushed_part_of_an_import_that_it_calls_failed(open_server: Open) -> None:
    """As recorded in 49n-nul-last-of-2689: counts 0, no conflicts, and 2,033 of 2,688 rows are there."""
    ages = [f"CocAge{age}Sex{sex}" for age in "1234" for sex in "FM"]
    cells = [(f"{2016 + m // 12}{m % 12 + 1:02}", f"OuFacility{u}", c) for m in range(84) for u in "1234" for c in ages]
    rows = [row("2", dataElement="DeTxCurr001", period=p, orgUnit=u, categoryOptionCombo=c) for p, u, c in cells]
    with open_server("2.41") as client:
        sent = body(*rows, row("a\0b", dataElement="DeNarrativ1"))
        reply = client.post("/api/dataValueSets", json=sent)
        summary = reply.json()["response"]
        assert (reply.status_code, len(rows), len(stored(client))) == (409, 2688, 2033)
    assert summary["description"] == "The import process failed: Failed to flush BatchHandler"
    assert summary["importCount"] == {"imported": 0, "updated": 0, "ignored": 0, "deleted": 0}


def test_2_43_loses_a_whole_import_over_one_nul_and_calls_it_success(open_server: Open) -> None:
    with open_server("2.43") as client:
        sent = body(*(row("2", period=f"2025{m:02}") for m in range(1, 10)), row("a\0b", dataElement="DeNarrativ1"))
        reply = client.post("/api/dataValueSets", json=sent).json()
        assert (reply["response"]["status"], reply["response"]["importCount"]["ignored"]) == ("SUCCESS", 10)
        assert stored(client) == []


def test_a_token_lasts_30_days_unless_told_otherwise(open_server: Open) -> None:
    with open_server("2.43") as client:
        made = client.post("/api/apiToken", json={}).json()["response"]
        read = client.get(f"/api/apiToken/{made['uid']}", params={"fields": "expire"}).json()
        bearer = httpx.Client(base_url=client.base_url, headers={"Authorization": f"ApiToken {made['key']}"})
        with bearer:
            assert bearer.get("/api/me", params={"fields": "username"}).json() == {"username": "pusher"}
    assert read["expire"] - CLOCK.replace(tzinfo=UTC).timestamp() * 1000 == 30 * 24 * 3600 * 1000


def test_metadata_reads_follow_references_filters_order_and_pages(open_server: Open) -> None:
    fields = "id,code,level,parent[code],dataSets[id]"
    asked = {"fields": fields, "filter": "level:eq:4", "order": "code:desc", "pageSize": "2", "page": "2"}
    with open_server("2.43") as client:
        answer = client.get("/api/organisationUnits", params=asked).json()
        combos = {"fields": "code", "filter": "code:in:[SEX,AGE]", "paging": "false"}
        categories = client.get("/api/categories", params=combos).json()
        element = client.get("/api/dataElements/DeRegimen01", params={"fields": "optionSet[options[code]]"}).json()
    assert answer["pager"] | {"nextPage": "", "prevPage": ""} == {
        "page": 2, "total": 6, "pageSize": 2, "pageCount": 3, "nextPage": "", "prevPage": "",
    }  # fmt: skip
    assert [unit["code"] for unit in answer["organisationUnits"]] == ["FAC-004", "FAC-003"]
    assert answer["organisationUnits"][1]["parent"] == {"code": "TL-N-1"}
    assert {"id": "DsWeekly001"} in answer["organisationUnits"][1]["dataSets"]
    assert categories == {"categories": [{"code": "AGE"}, {"code": "SEX"}]}
    assert element == {"optionSet": {"options": [{"code": "TLD"}, {"code": "TLE"}]}}


def test_no_metadata_read_shows_a_password(open_server: Open) -> None:
    with open_server("2.41") as client:
        users = client.get("/api/users", params={"fields": "*", "paging": "false"}).text
        me = client.get("/api/me").text
    assert "pusher" in users
    assert PASSWORD not in users + me


def test_an_unknown_version_is_a_clear_error(shared: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"2\.39.*2\.41, 2\.43"):
        create_app(metadata_with_superusers(shared), version="2.39", clock=lambda: CLOCK)


def test_a_document_without_data_sets_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="no dataSets"):
        create_app({"stages": []}, version="2.43", clock=lambda: CLOCK)
