"""One bad resource, a page that lies, a server that fails: what is at fault stands alone, the rest arrives."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.faults import Faults, Plan
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.errors import CursorExpiredError, FhirError, FhirUnavailableError, IncompleteExtractError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.page import Page, Rejected
from opensrp_dhis2.fhir.unreadable import CANNOT_GIVE, MALFORMED, read_ids, read_window
from opensrp_dhis2.fhir.window import BEGINNING, Window
from tests.support.fhir_script import Answer, bundle, flag, scripted

WINDOW = Window(BEGINNING, datetime(2026, 11, 21, tzinfo=UTC))
FIRST_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


@dataclass
class Source:
    """A sandbox that misbehaves, and a client of it."""

    store: FhirStore
    faults: Faults
    client: FhirClient
    url: str

    def put(self, count: int, *, first: int = 0, step_ms: int = HOUR_MS) -> None:
        for number in range(first, first + count):
            self.store.put({"resourceType": "Flag", "id": f"f{number:04}"}, stamp_ms=FIRST_MS + number * step_ms)

    def read(self) -> list[Page]:
        return list(read_window(self.client, "Flag", WINDOW))


@contextmanager
def source(*, page_size: int = 20) -> Iterator[Source]:
    store, faults = FhirStore(), Faults()
    with running(create_app(store, faults=faults)) as url, FhirClient(f"{url}/fhir", page_size=page_size) as client:
        yield Source(store, faults, client, url)


def ids(pages: list[Page]) -> set[str]:
    return {one.id for page in pages for one in page.resources}


def rejected(pages: list[Page]) -> list[Rejected]:
    return [one for page in pages for one in page.rejected]


def all_but(count: int, *guilty: str) -> set[str]:
    return {f"f{number:04}" for number in range(count)} - set(guilty)


@pytest.mark.parametrize("step_ms", [HOUR_MS, 0], ids=["spread", "one transaction, one stamp"])
@pytest.mark.parametrize("guilty", [["f0000"], ["f0099"], ["f0003", "f0071"], ["f0040", "f0041", "f0042"]])
def test_http_500_on_single_resources_names_them_and_everything_else_arrives(guilty: list[str], step_ms: int) -> None:
    with source() as here:
        here.put(100, step_ms=step_ms)
        here.faults.begin(Plan(cannot_give=frozenset(guilty)))
        pages = here.read()
    assert ids(pages) == all_but(100, *guilty)
    assert sorted(rejected(pages), key=str) == [Rejected(name, CANNOT_GIVE, b"") for name in guilty]


def test_a_resource_whose_id_the_server_does_not_give_either_is_known_by_its_window() -> None:
    with source() as here:
        here.put(40)
        here.faults.begin(Plan(cannot_give=frozenset({"f0007"}), gives_ids=False))
        pages = here.read()
    (one,) = rejected(pages)
    assert (ids(pages), one.id) == (all_but(40, "f0007"), None)
    stamp = datetime.fromtimestamp((FIRST_MS + 7 * HOUR_MS) / 1000, UTC)
    _, _, start_at, _, _, end_at = one.reason.rsplit(maxsplit=5)
    assert datetime.fromisoformat(start_at) <= stamp < datetime.fromisoformat(end_at)


@pytest.mark.parametrize("step_ms", [HOUR_MS, 0], ids=["spread", "one stamp"])
def test_malformed_json_is_a_row_with_what_could_be_read_and_the_rest_arrives(step_ms: int) -> None:
    with source() as here:
        here.put(90, step_ms=step_ms)
        here.faults.begin(Plan(malformed=frozenset({"f0055"})))
        pages = here.read()
    (one,) = rejected(pages)
    assert (ids(pages), one.id, one.reason) == (all_but(90, "f0055"), "f0055", MALFORMED)
    assert one.body.startswith(b'{"nul":nul,"resourceType":"Flag","id":"f0055"')
    assert one.body.endswith(b"}}")


def test_only_the_part_that_fails_is_read_again() -> None:
    with source(page_size=100) as here:
        here.put(1000)
        here.faults.begin(Plan(cannot_give=frozenset({"f0900"})))
        pages = here.read()
    assert ids(pages) == all_but(1000, "f0900")
    assert sum(map(len, pages)) < 3000


@pytest.mark.parametrize("kind", ["error_500", "error_502", "error_503"])
def test_a_server_that_fails_everywhere_is_not_divided_to_the_bottom(kind: str) -> None:
    with source() as here:
        here.put(500)
        here.faults.begin(Plan(shares={kind: 1.0}))
        with pytest.raises(FhirUnavailableError):
            here.read()
    assert here.faults.request_count <= 8


def test_a_server_that_counts_but_gives_no_page_is_told_as_unavailable_after_few_requests() -> None:
    with source() as here:
        here.put(500)
        here.faults.begin(Plan(cannot_give=frozenset(all_but(500)), gives_ids=False))
        with pytest.raises(FhirUnavailableError):
            here.read()
    assert here.faults.request_count < 200


def test_a_lone_resource_is_only_guilty_if_the_server_gives_another() -> None:
    with source() as here:
        here.put(1)
        here.faults.begin(Plan(cannot_give=frozenset({"f0000"})))
        with pytest.raises(FhirUnavailableError):
            here.read()
        here.store.put({"resourceType": "Flag", "id": "later"})
        assert rejected(here.read()) == [Rejected("f0000", CANNOT_GIVE, b"")]


def test_an_error_that_passes_leaves_no_rejected_row() -> None:
    whole = 0
    with source() as here:
        here.put(200)
        for seed in range(10):
            here.faults.begin(Plan(seed=seed, shares={"error_500": 0.1}))
            with suppress(FhirUnavailableError):  # a count that fails as well
                pages = here.read()
                assert (ids(pages), rejected(pages)) == (all_but(200), [])
                whole += 1
    assert whole > 3


def test_read_ids_goes_around_those_that_the_server_cannot_give() -> None:
    with source() as here:
        here.put(150)
        here.faults.begin(Plan(cannot_give=frozenset({"f0007", "f0120"}), malformed=frozenset({"f0030"})))
        pages = list(read_ids(here.client, "Flag", sorted(all_but(150))))
    assert ids(pages) == all_but(150, "f0007", "f0030", "f0120")
    reasons = {one.id: one.reason for one in rejected(pages)}
    assert reasons == {"f0007": CANNOT_GIVE, "f0030": MALFORMED, "f0120": CANNOT_GIVE}


def test_a_next_link_that_loops_is_read_around_by_smaller_windows() -> None:
    noticed = 0
    with source() as here:
        here.put(200)
        for seed in range(10):
            here.faults.begin(Plan(seed=seed, shares={"loop": 0.1}))
            pages = here.read()
            assert (ids(pages), rejected(pages)) == (all_but(200), [])
            noticed += bool(here.faults.applied)
    assert noticed > 2


def test_a_page_that_comes_again_is_not_given_twice_and_its_window_is_read_by_halves() -> None:
    first, again = (bundle(flag("a"), next_url=f"http://h/fhir?_getpages={number}") for number in (1, 2))
    answers = [first, again, *(bundle(total=total) for total in (2, 1)), bundle(flag("a")), bundle(flag("b"))]
    with scripted(*map(Answer, answers)) as script, FhirClient(script.url) as client:
        pages = list(read_window(client, "Flag", WINDOW))
    assert [[one.id for one in page.resources] for page in pages] == [["a"], ["a"], ["b"]]
    windows = [asked.query.partition("&_count")[0] for asked in script.asked[-2:]]
    assert (len(script.asked), windows[0] != windows[1]) == (6, True)


def test_paging_that_always_goes_in_a_circle_is_an_incomplete_extract() -> None:
    circle, failing = (
        bundle(flag("a"), next_url="http://h/fhir?_getpages=1", total=3),
        pytest.raises(IncompleteExtractError),
    )
    with scripted(Answer(circle)) as script, FhirClient(script.url) as client, failing:
        list(read_window(client, "Flag", WINDOW))
    assert len(script.asked) < 60


def test_a_next_link_without_end_over_empty_pages_is_an_incomplete_extract() -> None:
    pages = [Answer(bundle(next_url=f"http://h/fhir?_getpages={number}", total=0)) for number in range(22)]
    failing = pytest.raises(IncompleteExtractError, match="repeats")
    with scripted(*pages, Answer(bundle(total=0))) as script, FhirClient(script.url) as client, failing:
        list(read_window(client, "Flag", WINDOW))


def test_04_a_dead_cursor_is_the_callers_to_begin_again() -> None:
    with source() as here:
        here.put(200)
        here.faults.begin(Plan(shares={"expire": 1.0}))
        with pytest.raises(CursorExpiredError):
            here.read()


def test_an_answer_that_is_cut_off_is_asked_again_and_then_transient() -> None:
    whole, cut = Answer(bundle(flag("a"))), Answer(b'{"resourceType":"Bundle","entry":[{"resource":{"id":"a')
    for answers, expected in (((cut, cut, whole), {"a"}), ((cut,), None)):
        with scripted(*answers) as script, FhirClient(script.url) as client:
            if expected:
                assert ids(list(read_window(client, "Flag", WINDOW))) == expected
                continue
            with pytest.raises(FhirUnavailableError, match="cut off") as caught:
                list(read_window(client, "Flag", WINDOW))
            assert (caught.value.is_transient, len(script.asked)) == (True, 3)


def one_page(*resources: object) -> Page:
    with scripted(Answer(bundle(*resources))) as script, FhirClient(script.url) as client:
        (page,) = read_window(client, "Flag", WINDOW)
    return page


def test_of_an_id_twice_in_a_page_the_newest_version_wins_and_the_other_is_counted() -> None:
    page = one_page(flag("a", 1), flag("b", 1), flag("a", 3), flag("a", 2))
    assert [(one.id, one.version_id) for one in page.resources] == [("a", 3), ("b", 1)]
    assert (page.duplicate_count, page.rejected) == (2, [])


def test_two_contents_of_one_version_in_a_page_are_told() -> None:
    page = one_page(flag("a", 1, status="active"), flag("a", 1, status="inactive"))
    assert (len(page.resources), page.duplicate_count) == (1, 1)
    assert [(one.id, "different content" in one.reason) for one in page.rejected] == [("a", True)]


def test_an_outcome_entry_is_noted_and_no_resource() -> None:
    outcome = {"resource": {"resourceType": "OperationOutcome", "id": "x"}, "search": {"mode": "outcome"}}
    body = bundle(flag("a"))
    body["entry"].append(outcome)
    with scripted(Answer(body)) as script, FhirClient(script.url) as client:
        (page,) = read_window(client, "Flag", WINDOW)
    assert [one.id for one in page.resources] == ["a"]
    assert [one.reason for one in page.rejected] == ["it is the server's remark on the search, not a resource"]


def test_no_error_and_no_row_of_a_poisoned_page_carries_a_cursor() -> None:
    with source(page_size=10) as here:
        here.put(60)
        here.faults.begin(Plan(malformed=frozenset({"f0025"}), cannot_give=frozenset({"f0026"})))
        pages = here.read()
        here.faults.begin(Plan(malformed=frozenset(all_but(60))))
        with pytest.raises(FhirError) as caught:
            here.read()
    assert len(rejected(pages)) == 2
    assert not any(b"_getpages" in one.body for one in rejected(pages))
    assert "_getpages" not in f"{caught.value} {caught.value.url}"


def test_a_plan_is_taken_over_http_and_an_unknown_kind_is_refused() -> None:
    with source() as here:
        here.put(3)
        assert httpx.post(f"{here.url}/sandbox/faults", json={"shares": {"rain": 1}}).status_code == 400
        assert httpx.post(f"{here.url}/sandbox/faults", json={"seed": 4, "cannot_give": ["f0001"]}).status_code == 204
        assert here.faults.plan == Plan(seed=4, cannot_give=frozenset({"f0001"}))
        assert ids(here.read()) == {"f0000", "f0002"}
