"""What a real HAPI FHIR 8.8 shows of deletes: in a type's history, in a sweep of ids, and not at all."""

from opensrp_dhis2.extract.deletes import find_deletes, sweep
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ids import read_by_id, read_stamps
from opensrp_dhis2.warehouse.database import Warehouse

from .loader import Hapi
from .reading import LONG_AGO, landed, names, run


def test_10_a_delete_in_the_history_has_an_id_and_a_version_and_no_time(hapi: Hapi, resource_type: str) -> None:
    hapi.put(resource_type, names(30))
    hapi.delete(resource_type, names(20))
    pages = hapi.bundles(f"{resource_type}/_history?{LONG_AGO}&_count=7")
    entries = [entry for page in pages for entry in page["entry"]]
    deletes = [entry for entry in entries if entry["request"]["method"] == "DELETE"]
    assert (len(entries), len(pages)) == (50, 8)
    assert {entry["request"]["url"] for entry in deletes} == {f"{resource_type}/{one}/_history/2" for one in names(20)}
    assert [entry for entry in deletes if "resource" in entry or "lastModified" in entry["response"]] == []
    assert "total" not in pages[0]


def test_11_an_expunged_resource_is_in_no_history_and_only_missing_from_the_ids(hapi: Hapi, resource_type: str) -> None:
    hapi.put(resource_type, names(3))
    hapi.delete(resource_type, names(1))
    hapi.expunge(resource_type, "n00000")
    history = [entry for page in hapi.bundles(f"{resource_type}/_history?{LONG_AGO}") for entry in page["entry"]]
    assert {entry["resource"]["id"] for entry in history} == {"n00001", "n00002"}
    assert hapi.get(f"{resource_type}/n00000").status_code == 404
    with FhirClient(hapi.url) as client:
        assert [one.id for page in read_stamps(client, resource_type) for one in page] == ["n00001", "n00002"]


def test_11_an_expunged_resource_is_marked_by_a_sweep(hapi: Hapi, warehouse: Warehouse, resource_type: str) -> None:
    hapi.put(resource_type, names(50))
    run(hapi, warehouse, resource_type)
    hapi.delete(resource_type, names(2))
    for one in names(2):
        hapi.expunge(resource_type, one)
    hapi.wait_until_past()
    with FhirClient(hapi.url) as client:
        found = sweep(client, warehouse, resource_type)
    assert (found.deleted, found.loaded) == (2, 0)
    assert landed(warehouse, resource_type) == hapi.versions(resource_type)


def test_08_a_sweep_gives_the_id_and_version_of_all_that_lives(hapi: Hapi, resource_type: str) -> None:
    hapi.put(resource_type, names(600))
    hapi.put(resource_type, names(100), "v2")
    hapi.delete(resource_type, names(50, first=200))
    with FhirClient(hapi.url) as client:
        stamps = [one for page in read_stamps(client, resource_type) for one in page]
    assert {one.id: one.version_id for one in stamps} == hapi.versions(resource_type)
    assert len(stamps) == 550


def test_20_reading_by_id_gives_what_lives_of_many_ids(hapi: Hapi, resource_type: str) -> None:
    hapi.put(resource_type, names(250))
    hapi.delete(resource_type, names(10))
    with FhirClient(hapi.url) as client:
        pages = list(read_by_id(client, resource_type, [*names(250), "never-was"]))
    assert sorted(one.id for page in pages for one in page.resources) == names(240, first=10)
    assert sum(len(page.rejected) for page in pages) == 0


def test_10_what_is_deleted_is_marked_and_what_comes_back_lives_again(
    hapi: Hapi, warehouse: Warehouse, resource_type: str
) -> None:
    hapi.put(resource_type, names(300))
    run(hapi, warehouse, resource_type)
    with FhirClient(hapi.url) as client:
        assert find_deletes(client, warehouse, resource_type, lag_seconds=0).deleted == 0
        hapi.delete(resource_type, names(30))
        hapi.wait_until_past()
        found = find_deletes(client, warehouse, resource_type, lag_seconds=0)
    assert (found.deleted, found.sweep) == (30, None)
    assert landed(warehouse, resource_type) == hapi.versions(resource_type)

    hapi.put(resource_type, names(5), "again")
    run(hapi, warehouse, resource_type)
    assert landed(warehouse, resource_type) == hapi.versions(resource_type)
    assert len(landed(warehouse, resource_type)) == 275
