"""Deletions at the source reach raw, whether its history tells them or only the silence of its ids."""

from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opensrp_dhis2.errors import FhirUnavailableError, IncompleteExtractError
from opensrp_dhis2.extract.deletes import DeleteResult, SweepResult, find_deletes, sweep
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.page import Resource, read_resource
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.build import build_indicator, build_staging
from opensrp_dhis2.views.catalog import Catalog, load_catalog
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.load import Load
from tests.support.fhir_server import FhirServer
from tests.support.raw import landed
from tests.support.sql import execute, rows

HOUR_MS = 3_600_000


def loaded(server: FhirServer, warehouse: Warehouse, count: int) -> None:
    """Put Flags of two days ago at the source and into raw."""
    server.put(count, stamp_ms=server.now_ms - 48 * HOUR_MS)
    land(server, warehouse)


def land(server: FhirServer, warehouse: Warehouse) -> None:
    """Load all of the source without asking it, as somebody else's run would."""
    found = [read_resource("Flag", one.body or b"") for one in server.store.current("Flag")]
    with warehouse.connect() as connection:
        connection.execute("select raw.ensure_table('flag')")
        Load(connection, "Flag", source=server.url).add([one for one in found if isinstance(one, Resource)])


def search(server: FhirServer, warehouse: Warehouse) -> DeleteResult:
    with FhirClient(server.url) as client:
        return find_deletes(client, warehouse, "Flag", lag_seconds=0)


def swept(server: FhirServer, warehouse: Warehouse, **how: Any) -> SweepResult:
    with FhirClient(server.url) as client:
        return sweep(client, warehouse, "Flag", **how)


def delete(server: FhirServer, *numbers: int) -> None:
    for number in numbers:
        server.store.delete("Flag", f"f{number:05}", stamp_ms=server.now_ms)


def refuse(path_end: str, status: int) -> Any:
    def watch(request: Request, number: int) -> Response | None:
        is_meant = request.url.path.endswith(path_end)
        return JSONResponse({"resourceType": "OperationOutcome"}, status) if is_meant else None

    return watch


def test_history_finds_what_was_deleted_as_in_10d(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 10)
    first = search(server, warehouse)
    assert (first.deleted, first.reason) == (0, "no deletions were looked for before")
    assert first.sweep is not None
    assert first.sweep.source_count == 10
    delete(server, 1, 4)
    server.queries.clear()
    second = search(server, warehouse)
    assert (second.told, second.deleted, second.reason, second.sweep) == (2, 2, None, None)
    assert len(server.queries) == 1
    assert landed(warehouse) == server.truth()
    assert rows(warehouse, "select id, resource ->> 'status' from raw.superseded order by id") == [
        ("f00001", "active"), ("f00004", "active"),
    ]  # fmt: skip
    third = search(server, warehouse)
    assert (third.told, third.deleted) == (2, 0)  # told again within the overlap, marked once
    assert rows(
        warehouse,
        "select s.method, s.source_count, s.deleted_count, l.read_count, l.updated_count"
        " from raw.delete_search s join raw.load l using (load_id) order by s.delete_search_id",
    ) == [("sweep", 10, 0, 0, 0), ("history", 2, 2, 2, 2), ("history", 2, 0, 2, 0)]


def test_a_deleted_id_that_comes_back_is_alive_as_in_11h(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 3)
    search(server, warehouse)
    delete(server, 0, 1)
    search(server, warehouse)
    server.put(1, stamp_ms=server.now_ms, status="inactive")
    land(server, warehouse)
    result = search(server, warehouse)
    assert (result.told, result.deleted) == (1, 0)
    assert landed(warehouse) == server.truth() == {"f00000": 4, "f00002": 1}


def test_what_was_read_again_after_the_deletion_is_not_marked(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 2)
    search(server, warehouse)
    delete(server, 0)

    def recreate_behind_the_history(request: Request, number: int) -> None:
        if request.url.path.endswith("_history") and not server.truth().get("f00000"):
            server.watch = lambda *_: None
            stale = server.store.history("Flag")
            server.put(1, stamp_ms=server.now_ms, status="inactive")
            land(server, warehouse)
            server.watch = answer_with(server, stale)

    server.watch = recreate_behind_the_history
    search(server, warehouse)
    assert landed(warehouse) == server.truth() == {"f00000": 4, "f00001": 1}


def answer_with(server: FhirServer, versions: Any) -> Any:
    entry = [
        {
            "request": {
                "method": "DELETE" if one.is_deleted else "PUT",
                "url": f"Flag/{one.id}/_history/{one.version_id}",
            }
        }
        for one in versions
    ]
    return lambda request, number: JSONResponse({"resourceType": "Bundle", "type": "history", "entry": entry})


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_a_refused_history_falls_back_to_the_ids_and_says_so(
    server: FhirServer, warehouse: Warehouse, status: int
) -> None:
    loaded(server, warehouse, 5)
    search(server, warehouse)
    delete(server, 3)
    server.watch = refuse("_history", status)
    result = search(server, warehouse)
    assert (result.deleted, landed(warehouse)) == (1, server.truth())
    assert f"HTTP {status}" in str(result.reason)
    assert rows(warehouse, "select reason from raw.delete_search order by 1 limit 1") == [(result.reason,)]


def test_a_server_clock_that_jumped_back_is_answered_by_a_sweep(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 2)
    search(server, warehouse)
    execute(warehouse, "update raw.delete_watermark set read_to = read_to + interval '1 day'")
    delete(server, 1)
    result = search(server, warehouse)
    assert (result.deleted, result.reason) == (1, "the server's clock was ahead at the last search")
    assert search(server, warehouse).sweep is None


def test_a_failed_search_leaves_the_watermark_and_the_next_one_finds_all(
    server: FhirServer, warehouse: Warehouse
) -> None:
    loaded(server, warehouse, 2)
    search(server, warehouse)
    before = rows(warehouse, "select read_to from raw.delete_watermark")
    delete(server, 1)
    server.watch = refuse("_history", 503)
    with pytest.raises(FhirUnavailableError):
        search(server, warehouse)
    assert rows(warehouse, "select read_to from raw.delete_watermark") == before
    assert len(landed(warehouse)) == 2
    server.watch = lambda *_: None
    assert search(server, warehouse).deleted == 1


def test_a_sweep_finds_what_was_expunged_as_in_11k_to_11o(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 10)
    search(server, warehouse)
    delete(server, 7)
    server.store.expunge("Flag", "f00007")
    assert search(server, warehouse).deleted == 0
    result = swept(server, warehouse)
    assert (result.source_count, result.deleted, result.loaded) == (9, 1, 0)
    assert landed(warehouse) == server.truth()


def test_a_sweep_loads_what_is_missing_or_old_here(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 10)
    server.put(2, stamp_ms=server.now_ms - 30 * HOUR_MS, status="inactive")  # behind the watermark: a late commit
    server.put(3, first=20, stamp_ms=server.now_ms - 30 * HOUR_MS)
    execute(warehouse, "update raw.flag set is_deleted = true, resource = null where id = 'f00005'")
    assert landed(warehouse) != server.truth()
    result = swept(server, warehouse)
    assert (result.deleted, result.loaded, landed(warehouse)) == (0, 6, server.truth())
    assert swept(server, warehouse).loaded == 0


def test_an_expunged_id_that_comes_back_with_version_1_is_taken_over(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 2)
    server.put(1, stamp_ms=server.now_ms - HOUR_MS // 2, status="inactive")
    land(server, warehouse)
    server.store.expunge("Flag", "f00000")
    server.put(1, stamp_ms=server.now_ms, status="entered-in-error")
    land(server, warehouse)
    assert landed(warehouse) == {"f00000": 2, "f00001": 1}
    assert swept(server, warehouse).loaded == 1
    assert rows(warehouse, "select version_id, resource ->> 'status' from raw.flag where id = 'f00000'") == [
        (1, "entered-in-error")
    ]
    assert ("f00000", 2) in rows(warehouse, "select id, version_id from raw.superseded where resource is not null")


TAGS = [{"system": "urn:test", "code": "a b"}, {"system": "https://é.org/x", "code": "Not defined"}, {"code": "z"}]


def test_a_tag_added_without_a_new_version_is_taken_over_as_in_24h(server: FhirServer, warehouse: Warehouse) -> None:
    at = server.now_ms - HOUR_MS
    server.put(3, stamp_ms=at, meta={"tag": TAGS})
    server.put(2, first=3, stamp_ms=at)
    land(server, warehouse)
    assert swept(server, warehouse).loaded == 0
    before = server.store.latest("Flag", "f00001")
    assert before is not None
    assert before.body is not None
    server.store.keep("Flag", "f00001", 1, at, before.body.replace(b'"z"', b'"via-meta-add"'))
    assert swept(server, warehouse).loaded == 1
    tags = "select id, version_id from raw.flag where resource @? '$.meta.tag[*] ? (@.code == \"via-meta-add\")'"
    assert rows(warehouse, tags) == [("f00001", 1)]
    assert swept(server, warehouse).loaded == 0


def test_what_arrives_during_a_sweep_is_asked_for_by_id_and_stays(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 3)

    def write_meanwhile(request: Request, number: int) -> Response | None:
        if "_elements=id" not in str(request.url.query):
            return None
        server.watch = lambda *_: None
        seen = [{"resource": {"resourceType": "Flag", "id": one.id, "meta": stamp(one)}} for one in current(server)]
        server.put(2, first=50, stamp_ms=server.now_ms)
        land(server, warehouse)
        return JSONResponse({"resourceType": "Bundle", "type": "searchset", "entry": seen})

    server.watch = write_meanwhile
    result = swept(server, warehouse)
    assert (result.source_count, result.deleted) == (3, 0)
    assert landed(warehouse) == server.truth()
    assert len(server.truth()) == 5


def current(server: FhirServer) -> Any:
    return server.store.current("Flag")


def stamp(version: Any) -> dict[str, str]:
    return {"versionId": str(version.version_id), "lastUpdated": "2026-01-01T00:00:00Z"}


def filtering(request: Request, number: int) -> Response | None:
    """Show nothing to a search, as a token that filters does, and give no history."""
    if request.url.path.endswith("_history"):
        return JSONResponse({"resourceType": "OperationOutcome"}, 403)
    return JSONResponse({"resourceType": "Bundle", "type": "searchset", "total": 0})


@pytest.mark.parametrize("count", [5, 600])
def test_a_source_that_shows_nothing_any_more_is_not_believed(
    server: FhirServer, warehouse: Warehouse, count: int
) -> None:
    loaded(server, warehouse, count)
    search(server, warehouse)
    server.watch = filtering
    with pytest.raises(IncompleteExtractError, match=rf"{count} of {count} Flag .* max_share 1"):
        swept(server, warehouse)
    assert len(landed(warehouse)) == count
    assert rows(warehouse, "select count(*) from raw.delete_search") == [(1,)]
    assert swept(server, warehouse, max_share=1.0).deleted == count


def test_a_mass_deletion_that_the_history_tells_is_believed(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 600)
    delete(server, *range(300))
    assert swept(server, warehouse).deleted == 300
    assert landed(warehouse) == server.truth()


def test_a_sweep_begins_again_when_its_cursor_expires(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 12_000)
    delete(server, 5)

    def expire_once(request: Request, number: int) -> None:
        if "_getpages" in str(request.url.query):
            server.watch = lambda *_: None
            server.forget_cursors()

    server.watch = expire_once
    result = swept(server, warehouse)
    assert (result.source_count, result.deleted) == (11_999, 1)


def test_an_answer_that_cannot_be_told_apart_is_no_deletion(server: FhirServer, warehouse: Warehouse) -> None:
    loaded(server, warehouse, 5)
    delete(server, 2)

    def spoil_reads_by_id(request: Request, number: int) -> Response | None:
        if "_id=" not in str(request.url.query):
            return None
        return JSONResponse({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Flag", "id": 7}}]})

    server.watch = spoil_reads_by_id
    assert swept(server, warehouse).deleted == 0
    server.watch = lambda *_: None
    assert swept(server, warehouse).deleted == 1


DATA_SETS = "DS_M: {period_type: Monthly}\n"
VIEW = """/*---
description: d
grain: g
---*/
select f.id, f.resource ->> 'status' as status from raw.flag f where not f.is_deleted"""
INDICATOR = """/*---
description: d
grain: g
data_set: DS_M
measures: {flags: {data_element: FLAGS}}
---*/
select 'A' as org_unit_id, date '2024-01-31' as event_on, 'Flag' as resource_type, f.id as resource_id
from staging.flag f"""


def build(warehouse: Warehouse, catalog: Catalog) -> None:
    build_staging(warehouse, catalog, "staging.flag")
    build_indicator(warehouse, catalog, "indicator.flags")


def test_a_deletion_takes_its_staging_row_and_lowers_the_indicator(
    server: FhirServer, warehouse: Warehouse, tmp_path: Path
) -> None:
    files = {"staging/flag.sql": VIEW, "indicator/flags.sql": INDICATOR, "data_sets.yaml": DATA_SETS}
    for name, text in files.items():
        file = tmp_path / "dbt_like_views" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    loaded(server, warehouse, 5)
    execute(warehouse, "insert into lookup.period values ('Monthly', '202401', '2024-01-01', '2024-01-31')")
    catalog = load_catalog(Project(country_dir=tmp_path))
    build(warehouse, catalog)
    count = "select (select count(*) from staging.flag), (select flags from indicator.flags)"
    assert rows(warehouse, count) == [(5, 5)]
    search(server, warehouse)
    delete(server, 1, 2)
    assert search(server, warehouse).deleted == 2
    build(warehouse, catalog)
    assert rows(warehouse, count) == [(3, 3)]
