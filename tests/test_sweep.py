"""A sweep around what the server cannot give: it is asked for again each time, and hides nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.faults import Faults, Plan, as_of
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.errors import FhirUnavailableError
from opensrp_dhis2.extract import Extraction, extract, resweep, verify
from opensrp_dhis2.extract.deletes import SweepResult, sweep
from opensrp_dhis2.extract.extraction import merged
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.page import Page
from opensrp_dhis2.fhir.unreadable import CANNOT_GIVE
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.fhir_server import FhirServer, fhir_server
from tests.support.sql import rows

HOW = Extraction(threads=1, validate_share=0)
DAY_MS = 86_400_000


@dataclass
class Source:
    """A sandbox, its faults, a client of it and a warehouse."""

    server: FhirServer
    faults: Faults
    client: FhirClient
    warehouse: Warehouse

    def put(self, count: int, *, first: int = 0, days_ago: float, **more: Any) -> None:
        stamp_ms = round(self.server.now_ms - days_ago * DAY_MS)
        self.server.put(count, first=first, stamp_ms=stamp_ms, step_ms=1000, **more)

    def extract(self) -> None:
        extract(self.client, self.warehouse, "Flag", HOW)

    def sweep(self) -> SweepResult:
        return sweep(self.client, self.warehouse, "Flag")

    def rows(self, query: str) -> list[Any]:
        return rows(self.warehouse, query)

    def alive(self) -> dict[str, int]:
        return dict(self.rows("select id, version_id from raw.flag where not is_deleted"))


@pytest.fixture
def source(warehouse: Warehouse) -> Iterator[Source]:
    faults = Faults()
    with (
        fhir_server() as server,
        running(create_app(server.store, faults=faults)) as url,
        FhirClient(f"{url}/fhir", page_size=50) as client,
    ):
        yield Source(server, faults, client, warehouse)


def without(versions: dict[str, int], *ids: str) -> dict[str, int]:
    return {one: version for one, version in versions.items() if one not in ids}


@pytest.mark.parametrize("gives_ids", [True, False], ids=["its id is told", "not even its id is told"])
def test_what_the_server_could_not_give_is_asked_for_again_and_loaded_when_it_can(
    source: Source, gives_ids: bool
) -> None:
    source.put(120, days_ago=60)  # longer ago than a re-sweep looks
    source.faults.begin(Plan(cannot_give=frozenset({"f00007"}), gives_ids=gives_ids))
    source.extract()
    assert source.alive() == without(source.server.truth(), "f00007")
    assert [reason.startswith(CANNOT_GIVE) for (reason,) in source.rows("select reason from raw.rejected")] == [True]
    told = verify(source.client, source.warehouse, "Flag")
    assert (told.source_count, told.rejected, told.unlisted) == ((120, 1, 0) if gives_ids else (119, 0, 1))
    still = source.sweep()
    assert (still.loaded, still.deleted, still.rejected) == (0, 0, 1 if gives_ids else 0)
    source.faults.begin(Plan())
    assert source.sweep().loaded == 1
    assert source.alive() == source.server.truth()
    assert verify(source.client, source.warehouse, "Flag").is_complete


@pytest.mark.parametrize("gives_ids", [True, False], ids=["its id is told", "not even its id is told"])
@pytest.mark.parametrize("step_ms", [1000, 0], ids=["spread", "one transaction, one stamp"])
def test_one_resource_that_cannot_be_given_hides_nothing_else_and_is_no_deletion(
    source: Source, gives_ids: bool, step_ms: int
) -> None:
    source.server.put(300, stamp_ms=source.server.now_ms - 60 * DAY_MS, step_ms=step_ms)
    source.extract()
    source.server.store.delete("Flag", "f00003")
    source.server.store.expunge("Flag", "f00003")
    source.put(2, first=400, days_ago=50)  # committed long after its stamp
    source.put(1, first=200, days_ago=40, status="inactive")
    source.faults.begin(Plan(cannot_give=frozenset({"f00200"}), gives_ids=gives_ids))
    found = source.sweep()
    assert (found.deleted, found.loaded) == (1, 2)
    assert source.alive() == {**source.server.truth(), "f00200": 1}
    assert source.rows("select id, reason from raw.rejected") == [("f00200", CANNOT_GIVE)]


def test_what_was_refused_once_and_came_later_is_no_excuse_for_a_loss(source: Source) -> None:
    source.put(20, days_ago=60)
    source.faults.begin(Plan(cannot_give=frozenset({"f00007"})))
    source.extract()
    source.faults.begin(Plan())
    source.sweep()
    source.put(1, first=7, days_ago=50, status="inactive")  # committed long after its stamp
    told = verify(source.client, source.warehouse, "Flag")
    assert (told.rejected, told.ids["stale"], told.is_complete) == (0, ["f00007"], False)


def test_a_server_that_gives_nothing_any_more_marks_nothing(source: Source) -> None:
    source.put(20, days_ago=60)
    source.extract()
    source.faults.begin(Plan(cannot_give=frozenset(source.server.truth()), gives_ids=False))
    with pytest.raises(FhirUnavailableError):
        source.sweep()
    assert source.alive() == source.server.truth()
    assert source.rows("select count(*) from raw.delete_search") == [(0,)]


def test_an_expunged_id_that_comes_back_with_the_same_number_is_taken_over(source: Source) -> None:
    source.put(3, days_ago=60)
    source.put(1, days_ago=59, status="inactive")
    source.extract()
    source.server.store.expunge("Flag", "f00000")
    source.put(1, days_ago=50)
    source.put(1, days_ago=49, status="entered-in-error")
    assert source.alive() == source.server.truth()  # by number
    assert source.sweep().loaded == 1
    status = "select version_id, resource ->> 'status' from raw.flag where id = 'f00000'"
    assert source.rows(status) == [(2, "entered-in-error")]
    assert source.sweep().loaded == 0


def test_what_a_cache_hid_for_longer_than_the_overlap_is_found_in_the_same_week(source: Source) -> None:
    source.put(20, days_ago=3)
    source.put(5, first=20, days_ago=1)
    past = as_of(source.server.store, source.server.now_ms - 2 * DAY_MS)
    source.faults.begin(Plan(shares={"stale": 1.0}), past=past)
    source.extract()  # counts, pages and ids all agree: nothing tells that they are two days old
    source.faults.begin(Plan())
    source.extract()
    assert len(source.alive()) == 20
    resweep(source.client, source.warehouse, "Flag", HOW)
    assert source.alive() == source.server.truth()


def test_pages_put_together_keep_their_counts_of_duplicates() -> None:
    (page,) = merged(iter([Page(duplicate_count=2), Page(duplicate_count=3)]))
    assert page.duplicate_count == 5
