"""What was observed over several requests to a real HAPI FHIR happens in the sandbox too.

One known difference: HAPI 8.8 showed the total one page earlier than 7.6.1 in 05-small60; the sandbox does as 7.6.1.
"""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.server import running

from tests.support.fhir_recording import read_recording

from .conftest import FhirSandbox, ids


def test_prefixes_and_precisions_select_as_in_06a(fhir: FhirSandbox, shared: Path) -> None:
    observed = read_recording(shared, "06a-lastupdated-prefix-matrix").observed
    stamp = fhir.clock.now
    fhir.put("lu", 1)

    def text(milliseconds: int = 0, hours: int = 0) -> str:
        moved = stamp + timedelta(milliseconds=milliseconds, hours=hours)
        return moved.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moved.microsecond // 1000:03d}"

    def hits(value: str) -> int:
        answer = fhir.client.get(f"/fhir/Flag?_summary=count&_lastUpdated={value}")
        return int(answer.json()["total"]) if answer.status_code == 200 else answer.status_code

    second = f"{stamp:%Y-%m-%dT%H:%M:%S}"
    local = text(hours=3)
    values = {f"{prefix}T": f"{prefix}{text()}Z" for prefix in ("ge", "gt", "le", "lt", "eq", "sa", "eb", "ap")}
    values |= {f"{prefix}T to the second, Z": f"{prefix}{second}Z" for prefix in ("ge", "gt", "le", "lt", "eq")}
    values |= {
        "geT+1ms": f"ge{text(1)}Z",
        "gtT-1ms": f"gt{text(-1)}Z",
        "ltT+1ms": f"lt{text(1)}Z",
        "leT-1ms": f"le{text(-1)}Z",
        "ge second no zone": f"ge{second}",
        "eq minute": f"eq{second[:16]}",
        "eq date": f"eq{second[:10]}",
        "ge date": f"ge{second[:10]}",
        "gt date": f"gt{second[:10]}",
        "lt date": f"lt{second[:10]}",
        "le date": f"le{second[:10]}",
        "ge T +03:00 encoded": f"ge{local}%2B03:00",
        "gt T +03:00 encoded": f"gt{local}%2B03:00",
        "ge T raw plus (becomes space)": f"ge{local}+03:00",
        "ge T+1ms raw plus +03:00": f"ge{text(1, 3)}+03:00",
        "ge us lower": f"ge{text()}000Z",
        "window ge T lt T+1ms": f"ge{text()}Z&_lastUpdated=lt{text(1)}Z",
    }
    assert {name: hits(value) for name, value in values.items()} == {name: observed[name] for name in values}
    days = {
        f"{prefix}{day:+d}d": f"{prefix}{stamp + timedelta(days=day):%Y-%m-%d}"
        for prefix in ("lt", "le", "gt", "ge", "eq")
        for day in (-2, -1, 0, 1, 2)
    }
    assert {name: hits(value) for name, value in days.items()} == observed["date-only rows"]


def test_a_transaction_is_one_tie_that_gt_skips_and_ge_does_not_as_in_07(fhir: FhirSandbox, shared: Path) -> None:
    observed = read_recording(shared, "07-ties-500-same-lastupdated").observed
    entries = [
        {
            "request": {"method": "PUT", "url": f"Flag/t{number}"},
            "resource": {"resourceType": "Flag", "id": f"t{number}"},
        }
        for number in range(500)
    ]
    answer = fhir.client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200
    pages = list(fhir.pages("/fhir/Flag?_sort=_lastUpdated,_id&_count=100"))
    stamps = {entry["resource"]["meta"]["lastUpdated"] for page in pages for entry in page["entry"]}
    assert len(stamps) == observed["distinct lastUpdated of the 500-entry transaction"]
    assert ids(*pages) == sorted(f"t{number}" for number in range(500))
    last = stamps.pop().replace("+00:00", "Z")
    greater, equal = (fhir.total(f"/fhir/Flag?_lastUpdated={prefix}{last}") for prefix in ("gt", "ge"))
    assert greater == observed["after reading only page 1 (100 rows), restart with gt<last seen>"]
    assert equal == observed["restart with ge<last seen>"]


@pytest.mark.parametrize("sort", ["_lastUpdated", "_id", ""])
def test_writing_while_paging_goes_as_in_05_big700(fhir: FhirSandbox, shared: Path, sort: str) -> None:
    observed = read_recording(shared, "05-big700-paging-while-writing").observed
    fhir.put("pg", 700)
    pages = []
    for page in fhir.pages(f"/fhir/Flag?_count=50&_sort={sort}"):
        pages.append(page)
        if len(pages) == 1:
            fhir.clock.move(1)
            for number in (0, 1, 300, 301, 302, 697, 698, 699):
                fhir.put("pg", 1, first=number, text="v2")
            fhir.put("pg", 5, first=700)
            for number in (400, 401, 402, 403):
                fhir.store.delete("Flag", f"pg-{number:04d}")
    assert [len(page["entry"]) for page in pages] == observed["pages"]
    assert [page.get("total") for page in pages] == observed["totals"]
    read = ids(*pages)
    assert len(read) == len(set(read)) == observed["entries"]
    assert {f"pg-{number}" for number in ("0700", "0704")} <= set(read)
    assert "pg-0400" not in read


def test_a_page_is_short_when_a_prefetched_row_was_deleted_as_in_05_small60(fhir: FhirSandbox, shared: Path) -> None:
    observed = read_recording(shared, "05-small60-paging-while-writing").observed
    fhir.put("pg", 60)
    pages = []
    for page in fhir.pages("/fhir/Flag?_count=10&_sort=_lastUpdated"):
        pages.append(page)
        if len(pages) == 1:
            fhir.clock.move(1)
            fhir.put("pg", 5, first=60)
            for number in (10, 30, 31, 32):
                fhir.store.delete("Flag", f"pg-{number:04d}")
    assert [len(page["entry"]) for page in pages] == observed["pages"]
    assert [page.get("total") for page in pages[2:]] == observed["totals"][2:]
    assert len(set(ids(*pages))) == observed["distinct"]


@pytest.mark.parametrize("sort", ["_lastUpdated", "_id"])
def test_offset_paging_loses_rows_and_a_cursor_does_not_as_in_22d(fhir: FhirSandbox, shared: Path, sort: str) -> None:
    observed = read_recording(shared, "22d-offset-loses-rows").observed

    def lost(path: str, prefix: str) -> int:
        fhir.put(prefix, 200)
        read: set[str] = set()
        for number, page in enumerate(fhir.pages(f"{path}&_count=50&_sort={sort}")):
            read |= set(ids(page))
            if number == 0:
                fhir.clock.move(1)
                fhir.put(prefix, 10, text="v2")
                for deleted in range(10, 15):
                    fhir.store.delete("Flag", f"{prefix}-{deleted:04d}")
        alive = {version.id for version in fhir.store.current("Flag")}
        for resource_id in alive:
            fhir.store.delete("Flag", resource_id)
        return len(alive - read)

    gone = "never read though alive all the time"
    assert lost("/fhir/Flag?_offset=0", "of") == observed[f"offset, _sort={sort}"][gone] > 0
    assert lost("/fhir/Flag?_total=none", "cu") == observed[f"cursor, _sort={sort}"][gone] == 0


def test_equal_searches_share_a_result_for_a_minute_as_in_27(fhir: FhirSandbox, shared: Path) -> None:
    observed = read_recording(shared, "27-search-result-reuse").observed
    plain, other_order = "/fhir/Flag?_sort=_id&_count=10", "/fhir/Flag?_count=10&_sort=_id"
    seen: dict[str, float] = {}

    def see(name: str, path: str, control: str = "") -> None:
        headers = {"Cache-Control": control} if control else {"Accept": "*/*"}
        seen[name] = len(ids(fhir.get(path, **headers)))

    fhir.put("ca", 1)
    see("first", plain)
    fhir.put("ca", 1, first=1)
    see("after adding one, same URL", plain)
    see("with Cache-Control: no-cache", plain, "no-cache")
    see("same URL again, no header", plain)
    see("Cache-Control: no-store", plain, "no-store")
    fhir.put("ca", 1, first=2)
    see("added third; same URL, other param order", other_order)
    see("same URL, other _count", "/fhir/Flag?_count=11&_sort=_id")
    seen["_summary=count"] = fhir.total("/fhir/Flag?_sort=_id")
    assert seen == {name: observed[name] for name in seen}
    fhir.clock.move(observed["seconds until the plain URL shows the third"])
    assert len(ids(fhir.get(plain, Accept="*/*"))) == 3


def test_no_store_truncates_in_silence_as_in_27c(fhir: FhirSandbox, shared: Path) -> None:
    fhir.put("ca", 3)
    cut = fhir.get("/fhir/Flag?_count=1", **{"Cache-Control": "no-store"})
    limited = fhir.get("/fhir/Flag", **{"Cache-Control": "no-store, max-results=2"})
    for ours, name in ((cut, "27c-no-store"), (limited, "27d-no-store-max")):
        recorded = read_recording(shared, name).response["body"]
        assert ours.keys() == recorded.keys()
        assert ours.get("total") == recorded.get("total")
        assert len(ours["entry"]) == len(recorded["entry"])
        assert fhir.following(ours) is None


def test_a_cursor_lives_an_hour_and_ten_minutes_after_a_late_read_as_in_04f(fhir: FhirSandbox) -> None:
    fhir.put("ex", 60)
    first, second = (fhir.following(fhir.get(f"/fhir/Flag?_count=10&_sort={sort}")) for sort in ("_id", "_lastUpdated"))
    assert first is not None
    assert second is not None
    fhir.clock.move(40 * 60)
    fhir.get(first)
    fhir.clock.move(19.9 * 60)
    fhir.get(first)
    fhir.clock.move(9.9 * 60)
    assert fhir.client.get(first).status_code == 200
    assert fhir.client.get(second).status_code == 410
    fhir.clock.move(10.1 * 60)
    dead = fhir.client.get(first)
    assert (dead.status_code, dead.json()["issue"][0]["diagnostics"][:9]) == (410, "HAPI-0417")


def test_a_page_size_above_the_maximum_is_capped_as_in_02l(fhir: FhirSandbox, shared: Path) -> None:
    fhir.put("mx", 450)
    app = create_app(fhir.store, max_page_size=200)
    with running(app) as url, httpx.Client(base_url=url, verify=False) as client:
        pages = list(FhirSandbox(fhir.clock, fhir.store, client, app).pages("/fhir/Flag?_count=500"))
    assert [len(page["entry"]) for page in pages] == read_recording(shared, "02m-capped-paging").observed["pages"]
    assert pages[0]["link"][0]["url"].endswith("?_count=500")
    assert "_count=200" in pages[0]["link"][1]["url"]


def test_elements_stay_reduced_on_the_next_page_as_in_08f(fhir: FhirSandbox) -> None:
    fhir.put("el", 4)
    for page in fhir.pages("/fhir/Flag?_elements=id&_count=2&_sort=_id"):
        for entry in page["entry"]:
            assert entry["resource"].keys() == {"resourceType", "id", "meta"}
            assert entry["resource"]["meta"]["tag"][-1]["code"] == "SUBSETTED"


@pytest.mark.parametrize("path", ["/fhir", "/fhir/"])
def test_a_cursor_is_read_with_and_without_a_last_slash(fhir: FhirSandbox, path: str) -> None:
    fhir.put("sl", 3)
    following = fhir.following(fhir.get("/fhir/Flag?_count=2&_sort=_id"))
    assert following is not None
    assert ids(fhir.get(following.replace("/fhir", path))) == ["sl-0002"]


def test_a_lost_cursor_is_gone_and_the_search_starts_again_as_in_04e(fhir: FhirSandbox) -> None:
    fhir.put("lc", 30)
    following = fhir.following(fhir.get("/fhir/Flag?_count=10"))
    fhir.app.state.server.cursors.forget_all()
    assert fhir.client.get(following or "").status_code == 410
    assert len(set(ids(*fhir.pages("/fhir/Flag?_count=10")))) == 30
