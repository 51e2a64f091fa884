"""Equal counts are no proof when a page is of another time or another search: whoever is missing is found all the same."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opensrp_dhis2_sandbox.fhir.instant import instant_text

from opensrp_dhis2.extract import Extraction, TypeResult, extract
from opensrp_dhis2.extract.slice import Received
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.page import Page, Rejected
from opensrp_dhis2.fhir.unreadable import CANNOT_GIVE, MALFORMED
from opensrp_dhis2.fhir.window import Window
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.fhir_proxy import Change, Proxy, Query, drop, is_count, is_listing, is_pages
from tests.support.fhir_script import flag
from tests.support.fhir_server import FhirServer, fhir_server
from tests.support.raw import landed

HOW = Extraction(threads=1, validate_share=0)
DAY_MS = 86_400_000


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with fhir_server() as running:
        running.put(60, stamp_ms=running.now_ms - 2 * DAY_MS, step_ms=1000)
        yield running


def run(proxy: Proxy, warehouse: Warehouse) -> TypeResult:
    with FhirClient(proxy.url, page_size=20) as client:
        return extract(client, warehouse, "Flag", HOW)


def departed(server: FhirServer) -> dict[str, Any]:
    """Make an entry of a Flag that is no longer there, with a stamp of the window."""
    return {"resource": flag("departed", at=instant_text(server.now_ms - 2 * DAY_MS)), "search": {"mode": "match"}}


def first_page_lacks_one(query: Query, bundle: dict[str, Any], server: FhirServer) -> None:
    if "_sort" in query:
        drop(bundle, {"f00007"})
    elif bundle["entry"][-1]["resource"]["id"] == "f00059":
        bundle["entry"].append(departed(server))


def a_page_of_more_tells_its_total(query: Query, bundle: dict[str, Any], server: FhirServer) -> None:
    if "_sort" in query:
        bundle["entry"] = [*[one for one in bundle["entry"] if one["resource"]["id"] != "f00007"], departed(server)]
    else:
        bundle["total"] = 61


@pytest.mark.parametrize("lie", [first_page_lacks_one, a_page_of_more_tells_its_total])
def test_as_many_that_have_left_as_are_lacking_betray_themselves_by_a_pages_size_or_total(
    server: FhirServer, proxy: Proxy, warehouse: Warehouse, lie: Any
) -> None:
    change: Change = lambda query, bundle: lie(query, bundle, server) if is_pages(query) else None  # noqa: E731
    proxy.change = change
    result = run(proxy, warehouse)
    assert (result.inserted, result.deleted, result.incomplete) == (61, 1, 0)
    assert server.truth().keys() <= landed(warehouse).keys()


def test_ids_of_another_search_do_not_stand_for_one_that_the_source_never_lists(
    server: FhirServer, proxy: Proxy, warehouse: Warehouse
) -> None:
    other = {"resource": flag("other", at="2020-01-01T00:00:00Z"), "search": {"mode": "match"}}

    def hide(query: Query, bundle: dict[str, Any]) -> None:
        held = [one["resource"]["id"] for one in bundle.get("entry", ())]
        if not is_count(query) and "f00007" in held:
            drop(bundle, {"f00007"})
            bundle["entry"] += [other] * is_listing(query)

    proxy.change = hide
    result = run(proxy, warehouse)
    assert (result.incomplete, result.missing) == (1, 1)
    assert landed(warehouse).keys() == server.truth().keys() - {"f00007"}


def test_a_server_that_caps_its_pages_is_not_suspected(server: FhirServer, proxy: Proxy, warehouse: Warehouse) -> None:
    server.app.state.server.max_page_size = 7
    run(proxy, warehouse)
    assert landed(warehouse).keys() == server.truth().keys()
    assert not any("_elements" in query for query in server.queries)


def test_a_broken_text_without_an_id_that_comes_again_excuses_one_resource_only() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    received = Received(Window(now, now + timedelta(days=1)), 3)
    for body in (b"{cut", b"{cut", b"{other"):
        received.note(Page(rejected=[Rejected(None, MALFORMED, body)]))
    received.note(Page(rejected=[Rejected(None, CANNOT_GIVE, b""), Rejected(None, CANNOT_GIVE, b"")]))
    assert received.unnamed_count == 4
