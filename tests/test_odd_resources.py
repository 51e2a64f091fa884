"""A resource that comes odd, in part or not at all costs itself and nothing else, and is asked for until it comes whole."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.faults import Faults, Plan
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.extract import Extraction, TypeResult, extract, verify
from opensrp_dhis2.extract.deletes import find_deletes, sweep
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.page import SUBSETTED, SUBSETTED_SYSTEM
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.fhir_proxy import Proxy
from tests.support.fhir_server import FhirServer, fhir_server
from tests.support.raw import landed

HOW = Extraction(lag_seconds=0, overlap_seconds=3600, threads=2, validate_share=0)
HOUR_MS = 3_600_000
Odd = Callable[[dict[str, Any]], None]
# What comes odd, and whether its id can be read all the same.
ODD: dict[str, tuple[Odd, bool]] = {
    "a time without a zone": (lambda one: one["meta"].update(lastUpdated=one["meta"]["lastUpdated"][:19]), True),
    "no time": (lambda one: one["meta"].pop("lastUpdated"), True),
    "no meta": (lambda one: one.pop("meta"), True),
    "a time that is none": (lambda one: one["meta"].update(lastUpdated="2026-13-45T00:00:00Z"), False),
    "a number for a versionId": (lambda one: one["meta"].update(versionId=1), False),
    "no id": (lambda one: one.pop("id"), False),
    "a number for an id": (lambda one: one.update(id=5), False),
    "an id with a nul": (lambda one: one.update(id="a\0b"), False),
    "an id without an end": (lambda one: one.update(id="a" * 5000), False),
}


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with fhir_server() as running_server:
        running_server.put(60, stamp_ms=running_server.now_ms - 48 * HOUR_MS, step_ms=1000)
        yield running_server


def run(url: str, warehouse: Warehouse) -> TypeResult:
    with FhirClient(url, page_size=20) as client:
        result = extract(client, warehouse, "Flag", HOW)
        find_deletes(client, warehouse, "Flag")
        return result


def outstanding(warehouse: Warehouse) -> list[str]:
    with warehouse.connect() as connection:
        return [one for one, _ in state.outstanding(connection, "Flag")]


def change_one(resource_id: str, odd: Odd) -> Callable[[Any, dict[str, Any]], None]:
    def change(query: Any, bundle: dict[str, Any]) -> None:
        for entry in bundle.get("entry", ()):
            if entry.get("resource", {}).get("id") == resource_id:
                odd(entry["resource"])

    return change


@pytest.mark.parametrize("name", ODD)
def test_an_odd_resource_costs_itself_only_night_after_night(
    proxy: Proxy, server: FhirServer, warehouse: Warehouse, name: str
) -> None:
    odd, has_id = ODD[name]
    proxy.change = change_one("f00012", odd)
    first = run(proxy.url, warehouse)
    server.put(10, first=60, stamp_ms=server.now_ms - 1000)
    second = run(proxy.url, warehouse)
    assert (first.rejected, first.incomplete, second.incomplete) == (1, 0, 0)
    assert landed(warehouse).keys() == server.truth().keys() - {"f00012"}
    assert outstanding(warehouse) == (["f00012"] if has_id else [])
    with FhirClient(proxy.url) as client:
        assert not verify(client, warehouse, "Flag").is_complete
        assert sweep(client, warehouse, "Flag").deleted == 0


def test_an_entry_without_a_resource_is_no_loss(proxy: Proxy, server: FhirServer, warehouse: Warehouse) -> None:
    def change(query: Any, bundle: dict[str, Any]) -> None:
        if bundle.get("entry") and bundle["type"] == "searchset":
            bundle["entry"].append({"fullUrl": "urn:x", "search": {"mode": "outcome"}})

    proxy.change = change
    assert run(proxy.url, warehouse).incomplete == 0
    assert landed(warehouse) == server.truth()


def test_a_listing_that_gives_no_keys_at_all_is_an_error_and_no_deletion(
    proxy: Proxy, server: FhirServer, warehouse: Warehouse
) -> None:
    run(server.url, warehouse)
    proxy.change = lambda query, bundle: [one["resource"].pop("meta") for one in bundle.get("entry", ())]  # type: ignore[assignment]
    with FhirClient(proxy.url) as client, pytest.raises(Exception, match=r"gives no id or no meta\.lastUpdated"):
        sweep(client, warehouse, "Flag")
    assert landed(warehouse) == server.truth()


def test_what_was_not_given_one_night_is_asked_for_the_next(server: FhirServer, warehouse: Warehouse) -> None:
    faults = Faults()
    with running(create_app(server.store, faults=faults)) as root:
        url = f"{root}/fhir"
        faults.begin(Plan(cannot_give=frozenset({"f00012"})))
        assert run(url, warehouse).rejected == 1
        assert outstanding(warehouse) == ["f00012"]
        faults.begin(Plan())
        assert run(url, warehouse).inserted == 1
    assert (landed(warehouse), outstanding(warehouse)) == (server.truth(), [])


def test_bodies_that_come_in_part_come_whole_when_the_gateway_is_mended(
    proxy: Proxy, server: FhirServer, warehouse: Warehouse
) -> None:
    subsetted = {"system": SUBSETTED_SYSTEM, "code": SUBSETTED}

    def cut(query: Any, bundle: dict[str, Any]) -> None:
        for entry in bundle.get("entry", ()):
            entry["resource"]["meta"].setdefault("tag", []).append(subsetted)

    proxy.change = cut
    run(proxy.url, warehouse)
    assert (landed(warehouse), len(outstanding(warehouse))) == ({}, 60)
    proxy.change = lambda query, bundle: None
    assert run(proxy.url, warehouse).inserted == 60
    assert (landed(warehouse), outstanding(warehouse)) == (server.truth(), [])


def test_what_was_rejected_and_is_gone_is_asked_for_no_more(
    proxy: Proxy, server: FhirServer, warehouse: Warehouse
) -> None:
    proxy.change = change_one("f00012", ODD["no time"][0])
    run(proxy.url, warehouse)
    server.store.delete("Flag", "f00012", stamp_ms=server.now_ms)
    run(proxy.url, warehouse)
    assert outstanding(warehouse) == []


@pytest.mark.parametrize("gives_ids", [True, False])
def test_one_of_a_transaction_that_cannot_be_given_hides_no_other(
    server: FhirServer, warehouse: Warehouse, *, gives_ids: bool
) -> None:
    server.put(40, first=100, stamp_ms=server.now_ms - 24 * HOUR_MS)  # of one instant
    faults = Faults()
    with running(create_app(server.store, faults=faults)) as root:
        faults.begin(Plan(cannot_give=frozenset({"f00117"}), gives_ids=gives_ids))
        assert (run(f"{root}/fhir", warehouse).incomplete, landed(warehouse).keys()) == (
            0,
            server.truth().keys() - {"f00117"},
        )
        with FhirClient(f"{root}/fhir", page_size=20) as client:
            found = verify(client, warehouse, "Flag")
    assert (found.missing, found.gone, found.rejected + found.unlisted) == (0, 0, 1)


def test_what_a_short_slice_lacks_is_missing_whatever_the_watermark_says(
    proxy: Proxy, server: FhirServer, warehouse: Warehouse
) -> None:
    def hide(query: dict[str, list[str]], bundle: dict[str, Any]) -> None:
        if "_elements" not in query and "_summary" not in query:
            bundle["entry"] = [one for one in bundle.get("entry", ()) if one["resource"]["id"] != "f00012"]

    proxy.change = hide
    run(proxy.url, warehouse)
    with FhirClient(proxy.url) as client:
        found = verify(client, warehouse, "Flag")
    assert (found.ids, found.is_complete) == ({"missing": ["f00012"]}, False)
    with warehouse.connect() as connection:
        assert state.incomplete(connection, proxy.url, "Flag")[0]["missing_ids"] == ["f00012"]


def test_a_type_that_was_never_read_is_not_complete(server: FhirServer, warehouse: Warehouse) -> None:
    with FhirClient(server.url) as client:
        assert (verify(client, warehouse, "Flag").missing, verify(client, warehouse, "Basic").missing) == (60, 0)
