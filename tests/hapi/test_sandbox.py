"""The sandbox answers as the real HAPI FHIR 8.8 does, where both are asked the same of the same resources."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running

from .loader import Hapi
from .reading import DEAD_CURSOR, LONG_AGO, names

ANSWERS = (
    "{type}/n00100 {type}/n00200 {type}/n00001/_history/1 {type}/never-was Nothing/1 ?_getpages=" + DEAD_CURSOR + " "
    "{type}?no-such=1 {type}?_lastUpdated=ge2026-13-01 {type}?_summary=count {type}?_count=0 {type}?_sort=no-such "
    "{type}?_id=n00001,n00200,never-was {type}/n00200/_history {type}/_history?_since=2099-01-01T00:00:00.000Z"
)


@pytest.fixture
def sides(hapi: Hapi) -> Iterator[list[Hapi]]:
    """The real server, and an empty sandbox."""
    with running(create_app(FhirStore())) as url, closing(Hapi(f"{url}/fhir")) as sandbox:
        yield [hapi, sandbox]


def write(side: Hapi, resource_type: str) -> None:
    side.put(resource_type, names(900))
    side.put(resource_type, names(30, first=100), "v2")
    side.delete(resource_type, names(20, first=200))


def seen(bundle: dict[str, Any]) -> tuple[list[Any], set[str]]:
    """Give what a client goes by: the entries of a page, and where it leads."""
    entries = [
        (
            one["fullUrl"].split("/fhir/")[1],
            one.get("resource", {}).get("meta", {}).get("versionId"),
            one.get("request"),
        )
        for one in bundle.get("entry", ())
    ]
    return entries, {one["relation"] for one in bundle["link"]}


def entries(pages: list[tuple[list[Any], set[str]]]) -> list[str]:
    return sorted(str(entry) for page, _ in pages for entry in page)


@pytest.mark.parametrize(
    "query", ["?_sort=_lastUpdated,_id&_count=100", "?_elements=id&_count=500", f"/_history?{LONG_AGO}&_count=250"]
)
def test_pages_hold_the_same_and_end_the_same(sides: list[Hapi], resource_type: str, query: str) -> None:
    for side in sides:
        write(side, resource_type)
    real, played = ([seen(page) for page in side.bundles(f"{resource_type}{query}")] for side in sides)
    assert len(real) > 1
    if "_sort" in query:
        assert played == real
    else:  # the order is the database's
        assert entries(played) == entries(real)


@pytest.mark.parametrize(("count", "short"), [(10, [4, 0, 6]), (12, [2, 4]), (14, [1, 11]), (20, [10])])
def test_05_ids_are_fixed_as_far_as_prefetched_and_one_more(
    sides: list[Hapi], resource_type: str, count: int, short: list[int]
) -> None:
    """30 of 60 rows are deleted right after the first page; later pages lack those that were fixed already."""
    for side in sides:
        side.put(resource_type, names(60))
        page = side.get(f"{resource_type}?_count={count}&_sort=_lastUpdated,_id").json()
        side.delete(resource_type, names(30, first=count))
        later = next(link["url"] for link in page["link"] if link["relation"] == "next")
        assert [count - len(one["entry"]) for one in side.bundles(later)] == short


def test_answers_have_the_same_status_and_kind(sides: list[Hapi], resource_type: str) -> None:
    for side in sides:
        write(side, resource_type)
    paths = ANSWERS.format(type=resource_type).split()
    real, played = ([side.get(path) for path in paths] for side in sides)
    kinds = [[(one.status_code, one.json()["resourceType"]) for one in answers] for answers in (real, played)]
    assert dict(zip(paths, kinds[1], strict=True)) == dict(zip(paths, kinds[0], strict=True))
    assert {status for status, _ in kinds[0]} == {200, 400, 404, 410}
