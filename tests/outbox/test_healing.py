"""Refusals heal: what DHIS2 refused for a passing cause gets in once the cause is mended, and nothing is tried for ever."""

from collections.abc import Callable
from pathlib import Path

import pytest

from opensrp_dhis2.errors import Dhis2UnavailableError
from opensrp_dhis2.messages.codes import MOST_TRIES, codes
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.delivery import MOST_IN_VAIN
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_metadata import FACILITIES, named
from tests.support.dhis2_site import VERSIONS, totals_of
from tests.support.ministry import Ministry
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals

GOOD, BAD = "OuFacility1", "OuFacility2"
APPROVAL = {"ds": "DsMonthly01", "pe": "202509", "ou": BAD}
SAME_DAY, NEXT_DAY = False, True


@pytest.fixture(params=VERSIONS)
def ministry(request: pytest.FixtureRequest, warehouse: Warehouse, set_totals: SetTotals, tmp_path: Path) -> Ministry:
    """A DHIS2 of either engine, its metadata read, and two values that wait: of a good unit, and of another."""
    made = Ministry(warehouse, request.param, tmp_path / "dhis2.sqlite")
    made.document["stages"][0]["organisationUnits"].append(named("OuElsewhere", openingDate="2015-01-01"))
    made.data_set["workflow"] = {"id": "WfMonthly01"}
    set_totals(totals_of([GOOD, BAD]))
    made.read()
    return made


def approve(here: Ministry) -> None:
    here.ask("POST", "dataApprovals", **APPROVAL)


def withdraw_approval(here: Ministry) -> None:
    here.ask("DELETE", "dataApprovals", **APPROVAL)


def unassign(here: Ministry) -> None:
    here.data_set["organisationUnits"].remove({"id": BAD})


def assign(here: Ministry) -> None:
    here.data_set["organisationUnits"].append({"id": BAD})


def move_away(here: Ministry) -> None:
    here.unit(BAD)["parent"] = {"id": "OuElsewhere"}


def move_back(here: Ministry) -> None:
    here.unit(BAD)["parent"] = {"id": "OuCountry01"}


def take_the_country(here: Ministry) -> None:
    here.account["organisationUnits"] = [{"id": GOOD}]


def give_the_country(here: Ministry) -> None:
    here.account["organisationUnits"] = [{"id": "OuCountry01"}]


def expire_and_open_one(here: Ministry) -> None:
    here.data_set["expiryDays"] = 5
    here.ask("POST", "lockExceptions", **{**APPROVAL, "ou": GOOD})


def give_a_lock_exception(here: Ministry) -> None:
    here.ask("POST", "lockExceptions", **APPROVAL)


def switch_expiry_off(here: Ministry) -> None:
    here.data_set["expiryDays"] = 0


def close_unit(here: Ministry) -> None:
    here.unit(BAD)["closedDate"] = "2025-01-31"


def open_unit(here: Ministry) -> None:
    del here.unit(BAD)["closedDate"]


CAUSES: list[tuple[Callable[[Ministry], None], Callable[[Ministry], None], str, bool]] = [
    (approve, withdraw_approval, "E8033", NEXT_DAY),
    (unassign, assign, "E8022", SAME_DAY),
    (move_away, move_back, "E8011", NEXT_DAY),  # the metadata were read before, and look the same after
    (take_the_country, give_the_country, "E8011", SAME_DAY),
    (expire_and_open_one, give_a_lock_exception, "E8030", SAME_DAY),
    (expire_and_open_one, switch_expiry_off, "E8030", SAME_DAY),
]


@pytest.mark.parametrize(("spoil", "mend", "code", "is_next_day"), CAUSES)
def test_a_mended_cause_lets_its_values_in(
    ministry: Ministry,
    spoil: Callable[[Ministry], None],
    mend: Callable[[Ministry], None],
    code: str,
    is_next_day: bool,
) -> None:
    """On both engines with one word for the cause; the metadata are those of the night before."""
    spoil(ministry)
    assert ministry.report().accepted == 1
    state, given = ministry.states()[BAD]
    assert (state in ("refused", "withheld"), given) == (True, code)
    mend(ministry)
    if is_next_day:
        assert (ministry.report().sent, ministry.is_due()) == (0, False)
        ministry.next_day()
        assert ministry.is_due()
    assert ministry.report().accepted == 1
    assert ministry.states() == dict.fromkeys((GOOD, BAD), ("delivered", None))
    assert ministry.stored() == 2


@pytest.mark.parametrize(
    ("spoil", "mend", "code"),
    [(unassign, assign, "E8022"), (move_away, move_back, "E8011"), (close_unit, open_unit, "E8031")],
)
def test_what_was_refused_is_judged_by_the_metadata_that_are_read_next(
    ministry: Ministry, spoil: Callable[[Ministry], None], mend: Callable[[Ministry], None], code: str
) -> None:
    """It is then withheld, and heals like all that is withheld: by the next metadata, on the same day."""
    spoil(ministry)
    ministry.report()
    ministry.read()
    ministry.report()
    if ministry.version == "2.41" and code == "E8031":  # 14: which the older engine stores all the same
        assert ministry.states()[BAD] == ("delivered", None)
        return
    assert ministry.states()[BAD] == ("withheld", code)
    mend(ministry)
    ministry.read()
    assert ministry.is_due()
    assert ministry.report().accepted == 1
    assert ministry.states()[BAD] == ("delivered", None)


def test_nothing_is_tried_for_ever(ministry: Ministry) -> None:
    """A month of nights and an approval that stays: a week of tries, one request each, then it is left to a person."""
    approve(ministry)
    assert ministry.report().accepted == 1
    requests = []
    for _ in range(30):
        ministry.next_day()
        ministry.read()
        due = ministry.is_due()
        requests.append(ministry.report().request_count)
        assert (due, ministry.is_due()) == (requests[-1] > 0, False)
        assert ministry.report().request_count == 0  # once a day
    assert requests == [1] * MOST_TRIES + [0] * (30 - MOST_TRIES)
    assert ministry.states()[BAD] == ("refused", "E8033")
    with ministry.warehouse.connect() as connection:
        target = f"http://127.0.0.1:{ministry.port}"
        assert ledger.requeue(connection, target, run_id="somebody", code="E7642") == (1, 0)
    withdraw_approval(ministry)
    assert ministry.report().accepted == 1


def test_a_change_that_could_matter_is_one_more_try(ministry: Ministry) -> None:
    approve(ministry)
    ministry.report()
    for _ in range(MOST_TRIES):
        ministry.next_day()
        ministry.report()
    ministry.data_set["organisationUnits"].pop(0)
    assert ministry.report().request_count == 0  # not twice a day
    ministry.next_day()
    withdraw_approval(ministry)
    assert ministry.report().accepted == 1


def test_a_value_that_is_wrong_in_itself_is_tried_again_when_the_metadata_change(ministry: Ministry) -> None:
    element = ministry.document["stages"][1]["dataElements"][0]
    element["valueType"] = "INTEGER_NEGATIVE"  # after the metadata were read
    ministry.report()
    assert set(ministry.states().values()) == {("refused", "E8122")}
    for _ in range(3):
        ministry.next_day()
        assert ministry.report().request_count == 0
    ministry.read()
    ministry.report()
    assert set(ministry.states().values()) == {("withheld", "E8122")}
    element["valueType"] = "INTEGER"
    ministry.read()
    ministry.report()
    assert {state for state, _ in ministry.states().values()} == {"delivered"}


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 502}, {"kind": "hang_up_after"}])
def test_a_try_that_breaks_off_is_made_by_the_next_delivery(ministry: Ministry, fault: dict[str, object]) -> None:
    """And counts for nothing: the day's try is still to come."""
    approve(ministry)
    ministry.report()
    ministry.next_day()
    away = {"kind": "status", "status": 503, "method": "GET"}
    with pytest.raises(Dhis2UnavailableError):
        ministry.report(*[fault] * (3 if fault["kind"] == "status" else 1), *[away] * 4)
    withdraw_approval(ministry)
    assert ministry.is_due()
    assert ministry.report().accepted == 1
    assert ministry.states()[BAD] == ("delivered", None)


def test_values_that_were_refused_before_this_version_are_tried_once(ministry: Ministry) -> None:
    """They stood without a note of what they rest on, and with the older engine's word."""
    approve(ministry)
    ministry.report()
    execute(ministry.warehouse, "delete from outbox.refusal; delete from outbox.plan_basis")
    execute(ministry.warehouse, "update outbox.value set code = 'E7642' where state = 'refused'")
    withdraw_approval(ministry)
    assert ministry.is_due()
    assert ministry.report().accepted == 1


def test_many_places_of_one_cause_are_tried_in_turn_and_make_no_storm(
    ministry: Ministry, set_totals: SetTotals
) -> None:
    """2.43 names an approved unit a request: a night tries twenty at most, those first that waited longest."""
    units = FACILITIES[:50]
    set_totals(totals_of(units))
    for unit in units:
        ministry.ask("POST", "dataApprovals", **{**APPROVAL, "ou": unit})
    ministry.report()
    assert set(ministry.states().values()) >= {("refused", "E8033")}
    healed = units[-1]
    ministry.ask("DELETE", "dataApprovals", **{**APPROVAL, "ou": healed})
    nights = 0
    while ministry.states()[healed][0] != "delivered":
        nights += 1
        ministry.next_day()
        assert ministry.report().request_count <= MOST_IN_VAIN + 1
        assert set(ministry.states().values()) <= {("refused", "E8033"), ("delivered", None)}
    assert nights == (1 if ministry.version == "2.41" else 3)


def test_old_and_new_words_are_the_same_in_sql_and_python(warehouse: Warehouse) -> None:
    found = rows(warehouse, "select c, outbox.unified_code(c) from unnest(%s::text[]) c", list(codes()))
    assert dict(found) == {name: code.word or name for name, code in codes().items()}
    assert {code.word for code in codes().values() if code.word and codes()[code.word].word} == set()
