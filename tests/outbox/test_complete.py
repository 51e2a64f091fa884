"""Completions on both engines of the sandbox: what is complete is told, what is not is not, what others did stays."""

from collections.abc import Iterator

import pytest

from opensrp_dhis2.errors import Dhis2UnavailableError
from opensrp_dhis2.outbox.completion import Completed, DueUnit, Policy, RegistrationState, decide
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.completions import DEFAULT, FUNDED, CompletionSite, State, completion_site
from tests.support.dhis2_metadata import FACILITIES
from tests.support.dhis2_site import Dhis2Site, totals_of
from tests.support.sql import execute
from tests.support.surroundings import SetTotals

ONE, TWO = "OuFacility1", "OuFacility2"


@pytest.fixture
def dhis2(version: str, warehouse: Warehouse, set_totals: SetTotals) -> Iterator[CompletionSite]:
    with completion_site(warehouse, version) as opened:
        yield opened


def test_units_are_complete_after_their_values_and_a_second_run_asks_nothing(
    dhis2: CompletionSite, set_totals: SetTotals
) -> None:
    set_totals(totals_of(FACILITIES))
    reporting = Dhis2Site(dhis2.url, dhis2.warehouse)
    with reporting.client:
        reporting.report()
    assert dhis2.complete() == Completed(registered=300)
    assert dhis2.units() == FACILITIES
    assert set(dhis2.there().values()) == {"pusher"}
    assert dhis2.asked_by(dhis2.complete) == []


def test_never_means_never(dhis2: CompletionSite) -> None:
    dhis2.values({ONE: "delivered"})
    assert dhis2.complete("never") == Completed()
    assert dhis2.units() == []


def test_a_unit_waits_for_its_last_value(dhis2: CompletionSite) -> None:
    states: list[State] = [("pending", None), ("refused", "E8122"), ("withheld", "E8031"), ("pending", "write_lost")]
    blocked = dict(zip(FACILITIES, states, strict=False))
    fine: dict[str, State | str] = {ONE: "delivered", TWO: "dropped", "OuFacility3": "withdrawn"}
    dhis2.values({**fine, **dict.fromkeys(blocked, "delivered")})
    dhis2.values({**blocked}, element="DeSigned001")
    dhis2.values({ONE: "withdrawn"}, element="DeSigned001")
    done = dhis2.complete()
    assert (done.registered, done.waiting, done.refused) == (2, 4, 0)
    assert dhis2.units() == [ONE, TWO]
    assert "| waiting | values are not all delivered yet | 2 |" in done.markdown()
    assert "E8122" in done.markdown()
    assert "E8031" in done.markdown()
    dhis2.values(dict.fromkeys(blocked, "delivered"), element="DeSigned001")
    assert (dhis2.complete().registered, len(dhis2.units())) == (4, 6)


def test_a_deletion_that_dhis2_does_not_allow_keeps_no_unit_from_being_complete(dhis2: CompletionSite) -> None:
    """An element that left the data set: its old value stays in DHIS2, and nobody can delete it."""
    undeletable: dict[str, State | str] = dict.fromkeys((ONE, TWO), ("withheld", "E8020"))
    dhis2.values(undeletable, element="DeSigned001", wanted=None)
    dhis2.values({ONE: "delivered"})
    done = dhis2.complete("mirror")
    assert (done.registered, done.waiting, dhis2.units()) == (1, 0, [ONE])
    dhis2.values({ONE: ("pending", None), TWO: ("pending", None)})
    done = dhis2.complete("mirror")
    assert (done.deleted, dhis2.units()) == (1, [])
    assert "| waiting | values are not all delivered yet | 2 |" in done.markdown()


def test_each_attribute_option_combo_is_complete_by_itself(dhis2: CompletionSite) -> None:
    execute(dhis2.warehouse, "insert into lookup.category_combo values ('CcFunder001', 'FUNDER', 'Funder', false)")
    execute(
        dhis2.warehouse,
        "insert into lookup.category_option_combo"
        " values (%s, null, 'Funded', 'CcFunder001', '{FUNDED}', '{CoFunded001}')",
        FUNDED,
    )
    dhis2.values({ONE: "delivered"})
    dhis2.values({ONE: "pending"}, combo=FUNDED)
    dhis2.complete("mirror")
    assert list(dhis2.there()) == [(ONE, DEFAULT)]
    dhis2.values({ONE: "delivered"}, combo=FUNDED)
    dhis2.complete("mirror")
    assert set(dhis2.there()) == {(ONE, DEFAULT), (ONE, FUNDED)}
    dhis2.values({ONE: "refused"}, combo=FUNDED)
    assert dhis2.complete("mirror").deleted == 1
    assert list(dhis2.there()) == [(ONE, DEFAULT)]


def test_what_somebody_else_registered_is_neither_overwritten_nor_taken_back(dhis2: CompletionSite) -> None:
    dhis2.register_by_hand(ONE)
    dhis2.register_by_hand(ONE)
    dhis2.values({ONE: "delivered", TWO: "delivered"})
    done = dhis2.complete("mirror")
    assert (done.registered, done.registered_by_other) == (1, 1)
    dhis2.values({ONE: "refused", TWO: "refused"})
    assert dhis2.complete("mirror").deleted == 1
    assert dhis2.there() == {(ONE, DEFAULT): "admin"}


def test_a_completion_that_somebody_made_his_own_is_not_taken_back(dhis2: CompletionSite) -> None:
    dhis2.values({ONE: "delivered"})
    dhis2.complete("mirror")
    dhis2.register_by_hand(ONE)
    dhis2.values({ONE: "refused"})
    done = dhis2.complete("mirror")
    assert (done.deleted, done.registered_by_other) == (0, 1)
    assert dhis2.there() == {(ONE, DEFAULT): "admin"}


def test_without_in_step_nothing_is_taken_back(dhis2: CompletionSite) -> None:
    dhis2.values({ONE: "delivered"})
    dhis2.complete()
    dhis2.values({ONE: "pending"})
    assert dhis2.asked_by(dhis2.complete) == []
    assert dhis2.units() == [ONE]


def test_in_step_follows_the_values_there_and_back(dhis2: CompletionSite) -> None:
    for state, units, count in (("delivered", [ONE], 1), ("pending", [], 1), ("delivered", [ONE], 1)):
        dhis2.values({ONE: state})
        done = dhis2.complete("mirror")
        assert (dhis2.units(), done.registered + done.deleted) == (units, count)


def test_a_unit_of_which_nothing_is_left_is_taken_back_in_step(dhis2: CompletionSite) -> None:
    dhis2.values({ONE: "delivered"})
    dhis2.complete("mirror")
    dhis2.values({ONE: "withdrawn"})
    assert dhis2.complete("mirror") == Completed(deleted=1)
    assert dhis2.units() == []


def test_a_unit_that_dhis2_refuses_keeps_no_other_out_and_is_not_asked_again(dhis2: CompletionSite) -> None:
    dhis2.values({ONE: "delivered", "OuNotThere1": "delivered", TWO: "delivered"})
    done = dhis2.complete()
    assert (done.registered, done.refused, dhis2.units()) == (2, 1, [ONE, TWO])
    assert dhis2.ledger()["OuNotThere1"] == ("refused", "completion_refused")
    assert "Organisation unit not found or not accessible" in done.markdown()
    assert dhis2.asked_by(dhis2.complete) == []
    assert dhis2.complete().refused == 1


def test_what_was_refused_is_asked_again_when_something_changed(dhis2: CompletionSite) -> None:
    dhis2.values({"OuNotThere1": "delivered"})
    assert dhis2.complete().refused == 1
    execute(dhis2.warehouse, "update lookup.data_set set name = 'Renamed'")
    assert dhis2.asked_by(dhis2.complete) == ["GET", "POST"]


def test_what_was_refused_is_asked_again_when_a_person_says_so(dhis2: CompletionSite) -> None:
    dhis2.values({"OuNotThere1": "delivered"})
    assert dhis2.complete().refused == 1
    with dhis2.warehouse.connect() as connection:
        again = connection.execute("select outbox.requeue_completion(%s, null, '202509', null, 'me')", (dhis2.url,))
        assert again.fetchone() == (1,)
    assert dhis2.asked_by(dhis2.complete) == ["GET", "POST"]


def test_a_closed_period_is_reported_and_not_forced(dhis2: CompletionSite) -> None:
    dhis2.values({ONE: "delivered"})
    assert dhis2.asked_by(lambda: dhis2.complete(is_period_open=False)) == []
    assert dhis2.ledger() == {ONE: ("refused", "E8030")}


def test_a_period_that_opens_again_is_completed(dhis2: CompletionSite) -> None:
    dhis2.values({ONE: "delivered"})
    assert "E8030" in dhis2.complete(is_period_open=False).markdown()
    assert dhis2.complete(is_period_open=True) == Completed(registered=1)
    assert dhis2.units() == [ONE]


@pytest.mark.parametrize("lock", ["expired", "approved"])
def test_a_locked_data_set_keeps_its_completion_and_is_not_forced(
    version: str, warehouse: Warehouse, set_totals: SetTotals, lock: str
) -> None:
    members = {"expiryDays": 10} if lock == "expired" else {"workflow": {"id": "WfMonthly01"}}
    with completion_site(warehouse, version, **members) as dhis2:
        dhis2.values({ONE: "delivered"})
        dhis2.complete("mirror")
        if lock == "approved":
            dhis2.approve(ONE)
        dhis2.values({ONE: ("refused", "E8032")})
        done = dhis2.complete("mirror")
        assert (done.deleted, done.refused, dhis2.units()) == (0, 1, [ONE])
        assert "Locked Data set(s)" in done.markdown()
        assert dhis2.asked_by(lambda: dhis2.complete("mirror")) == []
        dhis2.values({ONE: "delivered"})
        assert dhis2.asked_by(lambda: dhis2.complete("mirror")) == ["GET"]
        assert dhis2.ledger() == {ONE: ("registered", None)}


@pytest.mark.parametrize("kind", ["hang_up_before", "hang_up_after", "truncated"])
def test_an_answer_that_never_came_is_looked_for_at_once(dhis2: CompletionSite, kind: str) -> None:
    dhis2.values({ONE: "delivered"})
    dhis2.complete()
    dhis2.values(dict.fromkeys(FACILITIES[:9], "delivered"))
    dhis2.strike(kind, "POST")
    assert dhis2.complete().registered == 9
    assert len(dhis2.units()) == 10


def test_a_server_that_stays_away_leaves_completions_to_the_next_run(dhis2: CompletionSite) -> None:
    dhis2.values({ONE: "delivered"})
    dhis2.door.lost = {"POST": False}
    with pytest.raises(Dhis2UnavailableError):
        dhis2.complete()
    assert dhis2.door.asked.count("POST") == 2
    assert (dhis2.units(), dhis2.ledger()) == ([], {ONE: ("wanted", None)})
    dhis2.door.lost = {}
    assert dhis2.complete() == Completed(registered=1)
    assert dhis2.units() == [ONE]


@pytest.mark.parametrize("policy", ["mirror", "when_complete"])
def test_a_registration_of_which_we_never_heard_is_known_as_ours(dhis2: CompletionSite, policy: Policy) -> None:
    """The answer is lost, the run ends, and the unit is complete no longer when the next run looks."""
    dhis2.values({TWO: "delivered"})
    dhis2.complete(policy)  # so that the period is known
    dhis2.values({ONE: "delivered"})
    dhis2.door.lost = {"POST": True}
    dhis2.door.lose_after = ("POST", "GET")
    with pytest.raises(Dhis2UnavailableError):
        dhis2.complete(policy)
    assert dhis2.units() == [ONE, TWO]
    dhis2.door.lost, dhis2.door.lose_after = {}, None
    dhis2.values({ONE: "refused"})
    assert dhis2.complete(policy).deleted == (1 if policy == "mirror" else 0)
    assert dhis2.units() == ([TWO] if policy == "mirror" else [ONE, TWO])
    assert dhis2.ledger()[ONE][0] == ("deleted" if policy == "mirror" else "registered")


def test_a_deletion_of_which_we_never_heard_is_made_good_when_the_unit_is_complete_again(dhis2: CompletionSite) -> None:
    dhis2.values({ONE: "delivered"})
    dhis2.complete("mirror")
    dhis2.values({ONE: "pending"})
    dhis2.door.lost = {"DELETE": True}
    dhis2.door.lose_after = ("DELETE", "GET")
    with pytest.raises(Dhis2UnavailableError):
        dhis2.complete("mirror")
    assert dhis2.units() == []
    dhis2.door.lost, dhis2.door.lose_after = {}, None
    dhis2.values({ONE: "delivered"})
    assert dhis2.complete("mirror").registered == 1
    assert dhis2.units() == [ONE]


@pytest.mark.parametrize(
    ("is_wanted", "is_ours", "stored_by", "is_mirrored", "state"),
    [
        (True, False, None, False, None),
        (True, True, None, True, None),
        (True, False, "nurse", True, "registered_by_other"),
        (True, False, "pusher", True, "registered_by_other"),  # by our account, but not by this ledger
        (True, True, "nurse", True, "registered_by_other"),
        (True, True, "pusher", True, "registered"),
        (False, True, None, True, "deleted"),
        (False, True, "nurse", True, "registered_by_other"),
        (False, True, "pusher", True, None),
        (False, True, "pusher", False, "registered"),
    ],
)
def test_what_stands_in_dhis2_decides_whether_it_is_asked(
    is_wanted: bool, is_ours: bool, stored_by: str | None, is_mirrored: bool, state: str | None
) -> None:
    settled = decide(DueUnit(ONE, DEFAULT, is_wanted, is_ours), stored_by, "pusher", is_mirrored=is_mirrored)
    assert settled == (None if state is None else RegistrationState(ONE, DEFAULT, state, is_ours=state == "registered"))
