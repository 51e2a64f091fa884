"""Reconciling with both sandboxes: what was planted in DHIS2 is found, nothing else is, and each policy keeps its word."""

from collections import Counter
from typing import Any

import pytest

from opensrp_dhis2.audit.discrepancy import KINDS, RESOLUTIONS, Reconciliation, explain_kind
from opensrp_dhis2.audit.reconcile import accept_unknown_values, count_discrepancies, reconcile_period
from opensrp_dhis2.errors import Dhis2UnavailableError, MetadataNotFoundError
from opensrp_dhis2.messages.catalogue import languages
from opensrp_dhis2.messages.codes import Owner
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.country import COMBOS, DATA_SET, ELEMENTS, MARCH, Cell, Country
from tests.support.dhis2_site import AWAY, SEPTEMBER, Dhis2Site, site
from tests.support.foreign import DEFAULT, OURS, THEIRS, Foreign, plant, post
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals


def reconcile(here: Country, policy: str = "report", run_id: str = "look-1") -> Reconciliation:
    return reconcile_period(here.warehouse, here.client, "PERF", MARCH.id, external_edits=policy, run_id=run_id)


def found(here: Country, condition: str = "resolved_at is null") -> dict[Cell, str]:
    query = "select data_element_id, org_unit_id, category_option_combo_id, kind from outbox.discrepancy"
    return {
        (element, unit, combo): kind
        for element, unit, combo, kind in rows(here.warehouse, f"{query} where {condition}")
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_100_planted_discrepancies_all_are_found_and_nothing_else(here: Country, seed: int) -> None:
    planted = plant(here, seed)
    assert len(planted) >= 100
    made = reconcile(here)
    assert found(here) == planted
    assert made.counts == Counter({kind: 0 for kind in KINDS} | Counter(planted.values()))
    assert made.resolutions == {"standing": len(planted), **dict.fromkeys(RESOLUTIONS, 0)}


def test_reporting_changes_nothing_and_what_is_found_again_keeps_its_first_day(here: Country) -> None:
    planted = plant(here, 4)
    ledger, there = rows(here.warehouse, "select * from outbox.value order by value_id"), here.stored()
    reconcile(here)
    first = rows(here.warehouse, "select discrepancy_id, found_at from outbox.discrepancy order by 1")
    again = reconcile(here, run_id="look-2")
    assert again.resolutions["standing"] == len(planted)
    assert rows(here.warehouse, "select discrepancy_id, found_at from outbox.discrepancy order by 1") == first
    assert rows(here.warehouse, "select distinct run_id from outbox.discrepancy") == [("look-2",)]
    assert (rows(here.warehouse, "select * from outbox.value order by value_id"), here.stored()) == (ledger, there)


def test_what_was_mended_is_closed_and_what_became_of_another_kind_is_a_new_finding(here: Country) -> None:
    here.fill(units=OURS[:1])
    here.report()
    mended, worse = (ELEMENTS[0], OURS[0], COMBOS[0]), (ELEMENTS[1], OURS[0], COMBOS[1])
    before = here.stored()
    post(here, {mended: "777", worse: "777"})
    assert reconcile(here).counts["foreign_edit"] == 2
    post(here, {mended: before[mended]})
    post(here, {worse: "777"}, is_delete=True)
    second = reconcile(here, run_id="look-2")
    assert (second.resolutions["gone"], second.counts["foreign_edit"], second.counts["missing_in_dhis2"]) == (2, 0, 1)
    assert found(here) == {worse: "missing_in_dhis2"}
    closed = found(here, "resolution = 'gone' and run_id = 'look-2' and resolved_at is not null")
    assert closed == {mended: "foreign_edit", worse: "foreign_edit"}


def test_overwriting_lets_the_next_delivery_put_back_what_is_wanted(here: Country) -> None:
    planted = plant(here, 5)
    made = reconcile(here, "overwrite")
    kinds = Counter(planted.values())
    ours = kinds["foreign_edit"] + kinds["missing_in_dhis2"] + kinds["stale_value"]
    assert made.resolutions["overwritten"] == ours
    assert made.resolutions["settled"] == kinds["ledger_outdated"]
    assert found(here) == {cell: kind for cell, kind in planted.items() if kind in ("unknown_value", "default_combo")}
    who = rows(here.warehouse, "select count(*) from outbox.history where run_id = 'look-1' and state_to = 'pending'")
    assert who == [(ours,)]
    waiting = 10 + 3  # planned before, and not yet sent
    report = here.report("run-4")
    assert (report.sent, report.accepted) == (ours + waiting, ours + waiting)
    wanted = rows(
        here.warehouse, "select data_element_id, org_unit_id, category_option_combo_id, wanted from outbox.value"
    )
    there = here.stored()
    strangers = set(found(here, "resolved_at is null and kind = 'unknown_value'"))
    differing = [cell for *cell, value in wanted if not same(there.get((cell[0], cell[1], cell[2])), value)]
    assert {tuple(cell) for cell in differing} <= strangers  # typed where we had withdrawn ours
    assert here.report("run-5").sent == 0
    assert set(reconcile(here, "overwrite", "look-2").counts.items()) >= {("foreign_edit", 0), ("missing_in_dhis2", 0)}


def same(one: str | None, other: str | None) -> bool:
    return one == other or (one is not None and other is not None and float(one) == float(other))


def test_what_is_accepted_is_not_sent_again_until_the_indicator_says_something_new(here: Country) -> None:
    planted = plant(here, 6)
    here.report("run-4")  # what waited goes, so that only the policy can send anything
    made = reconcile(here, "accept")
    kinds = Counter(planted.values())
    assert made.counts["ledger_outdated"] == 0
    deleted = made.resolutions["accepted"] - made.counts["foreign_edit"]
    assert 0 < deleted < kinds["missing_in_dhis2"]  # the others were lost without a trace, and are still shown
    assert Counter(found(here).values()) == {
        "missing_in_dhis2": kinds["missing_in_dhis2"] - deleted,
        **{kind: kinds[kind] for kind in ("default_combo", "stale_value", "unknown_value")},
    }
    there = here.stored()
    assert [here.report(run).sent for run in ("run-5", "run-6")] == [0, 0]
    assert here.stored() == there
    assert reconcile(here, "accept", "look-2").resolutions["accepted"] == 0
    edited = next(cell for cell, kind in planted.items() if kind == "foreign_edit" and there[cell] == "777")
    here.count(edited, 778)
    assert here.report("run-7").sent == 1
    assert here.stored()[edited] == "778"
    said = rows(here.warehouse, "select distinct code from outbox.value where state = 'delivered'")
    assert sorted(said, key=str) == [("foreign_edit",), (None,)]


@pytest.mark.parametrize("policy", ["overwrite", "accept"])
def test_a_number_typed_into_a_cell_that_we_left_is_a_strangers_and_stays(here: Country, policy: str) -> None:
    cell = (ELEMENTS[0], OURS[0], COMBOS[0])
    here.count(cell, 5)
    here.report()
    here.forget([cell])
    here.report("run-2")
    post(here, {cell: "42"})
    made = reconcile(here, policy)
    assert (made.counts["unknown_value"], made.resolutions["standing"]) == (1, 1)
    assert here.report("run-3").sent == 0
    assert here.stored() == {cell: "42"}
    assert rows(here.warehouse, "select wanted, acknowledged, state from outbox.value") == [(None, None, "withdrawn")]


def test_a_value_that_cannot_be_sent_is_shown_and_not_put_back_to_pending(here: Country) -> None:
    cell = (ELEMENTS[0], OURS[0], COMBOS[0])
    here.count(cell, 5)
    here.report()
    here.pretend("update outbox.value set state = 'withheld', code = 'E8030', wanted = '6'")
    post(here, {cell: "9"})
    assert reconcile(here, "overwrite").resolutions["standing"] == 1
    assert rows(here.warehouse, "select state, code, acknowledged from outbox.value") == [("withheld", "E8030", "5")]
    assert reconcile(here, "accept", "look-2").resolutions["accepted"] == 1
    assert rows(here.warehouse, "select state, code, acknowledged from outbox.value") == [("withheld", "E8030", "9")]


def test_a_deletion_that_dhis2_refused_is_an_orphan(here: Country) -> None:
    here.count((ELEMENTS[0], OURS[0], COMBOS[0]), 5)
    here.report()
    here.pretend("update outbox.value set state = 'refused', code = 'E8033', wanted = null")
    assert reconcile(here, "overwrite").counts["stale_value"] == 1
    assert rows(here.warehouse, "select state from outbox.value") == [("refused",)]


def test_text_that_somebody_typed_does_not_break_the_request_that_deletes_it(here: Country) -> None:
    """The old engine refuses to delete a text where it expects a number; the other deletion goes through."""
    typed, plain = (ELEMENTS[0], OURS[0], COMBOS[0]), (ELEMENTS[0], OURS[0], COMBOS[1])
    for cell in (typed, plain):
        here.count(cell, 5)
    here.report()
    foreign = Foreign(here)
    foreign.put(typed, 'she said "no", \\ and left')
    foreign.put(plain, "6")
    foreign.done()
    assert reconcile(here, "overwrite").counts["foreign_edit"] == 2
    here.forget([typed, plain])
    report = here.report("run-2")
    assert report.sent == report.accepted + report.refused == 2
    assert plain not in here.stored()


def test_units_out_of_sight_are_counted_and_never_called_empty(here: Country) -> None:
    here.fill(units=OURS[:2])
    here.report()
    here.pretend(f"update lookup.org_unit set path = '/OuElsewhere/{OURS[0]}' where org_unit_id = '{OURS[0]}'")
    made = reconcile(here)
    assert (made.compared, made.unread, made.findings) == (80, 80, ())
    assert "80 values of the ledger could not be compared" in made.markdown()


def test_an_element_that_left_the_data_set_is_not_called_lost(here: Country) -> None:
    """DHIS2 does not give its values any more when it is asked for the data set."""
    here.fill(units=OURS[:1])
    here.report()
    element = ELEMENTS[0]
    here.pretend(
        f"update outbox.value set data_element_id = 'DeNotInSet1' where data_element_id = '{element}'",
        f"insert into lookup.data_set_element values ('{DATA_SET}', 'DeNotInSet1', 'CcPerf00001')",
        f"delete from lookup.target where data_element_id = '{element}'",
    )
    made = reconcile(here)
    assert (made.compared, made.unread, made.findings) == (72, 8, ())


def test_what_was_left_open_is_settled_before_anything_is_compared(here: Country) -> None:
    here.fill(units=OURS[:1])
    reporter = here.reporter("run-1")
    reporter.plan(MARCH)
    here.strike({"kind": "hang_up_after"}, *AWAY)
    with pytest.raises(Dhis2UnavailableError):
        reporter.deliver(MARCH)
    made = reconcile(here)
    assert (made.compared, made.findings) == (80, ())
    assert rows(here.warehouse, "select state, count(*) from outbox.value group by 1") == [("delivered", 80)]


def test_dhis2_that_does_not_answer_leaves_no_trace(here: Country) -> None:
    here.fill(units=OURS[:1])
    here.report()
    here.strike(*AWAY)
    with pytest.raises(Dhis2UnavailableError):
        reconcile(here)
    assert found(here) == {}
    assert reconcile(here).findings == ()


def test_a_data_set_that_was_never_read_is_named(here: Country) -> None:
    with pytest.raises(MetadataNotFoundError, match="NONE is not in lookup"):
        reconcile_period(here.warehouse, here.client, "NONE", MARCH.id, external_edits="report", run_id="1")


ZEROS = DataSet(period_type="Monthly", zeros="reporting_units")


def look(here: Dhis2Site) -> Reconciliation:
    return reconcile_period(here.warehouse, here.client, "DS_M", "202509", external_edits="report", run_id="look")


def test_a_zero_that_an_old_server_drops_is_no_discrepancy_also_after_its_upgrade(
    warehouse: Warehouse, set_totals: SetTotals, tmp_path: Any
) -> None:
    set_totals({("visits", "OuFacility1"): 0, ("signed", "OuFacility1"): 0})
    with site(warehouse, "2.41", store=tmp_path / "dhis2.sqlite") as old:
        assert old.report(policy=ZEROS).accepted == 2
        assert old.stored() == {("DeSigned001", "OuFacility1"): "0"}
        assert look(old).findings == ()
        execute(
            old.warehouse,
            "update outbox.value set state = 'withheld', code = 'E8030', wanted = '7' where state = 'dropped'",
        )
        foreign = Foreign(old)
        foreign.lose(("DeSigned001", "OuFacility1", DEFAULT), "202509")
        foreign.done()
        assert look(old).counts["missing_in_dhis2"] == 1  # a zero that means something is missed
    with site(warehouse, "2.43", store=tmp_path / "dhis2.sqlite", port=old.port) as new:
        made = look(new)
        assert {kind: count for kind, count in made.counts.items() if count} == {"missing_in_dhis2": 1}
        assert [row.data_element for row in made.rows] == ["DeSigned001"]


def test_a_zero_that_a_new_server_stored_is_missed_when_it_is_gone(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 0, ("signed", "OuFacility1"): 1})
    with site(warehouse, "2.43") as new:
        new.report(policy=ZEROS)
        foreign = Foreign(new)
        foreign.lose(("DeVisits001", "OuFacility1", DEFAULT), "202509")
        foreign.done()
        assert look(new).counts["missing_in_dhis2"] == 1


def test_a_value_of_another_data_set_s_default_element_is_no_default_combo(
    dhis2: Dhis2Site, set_totals: SetTotals
) -> None:
    """An element without disaggregation stands under the default combo, as it should."""
    set_totals({("visits", "OuFacility1"): 5})
    dhis2.report()
    foreign = Foreign(dhis2)
    foreign.put(("DeVisits001", "OuFacility2", DEFAULT), "4", period=SEPTEMBER.id)
    foreign.done()
    assert {kind for kind, count in look(dhis2).counts.items() if count} == {"unknown_value"}


def test_every_kind_is_explained_in_every_language() -> None:
    for language in languages():
        for kind in KINDS:
            said = explain_kind(kind, language)
            assert said.sentence.endswith(".")
            assert said.remedy.endswith(".")
            assert isinstance(said.owner, Owner)
            assert said.owner_label


def test_the_markdown_names_kinds_values_and_what_to_do(here: Country) -> None:
    here.fill(units=OURS[:1])
    here.report()
    post(here, {(ELEMENTS[0], OURS[0], COMBOS[0]): "777"})
    made = reconcile(here)
    drawn = made.markdown()
    assert "| foreign_edit: Somebody changed the value" in drawn
    assert f"| foreign_edit | {OURS[0]} | {ELEMENTS[0]} | {COMBOS[0]} / default |" in drawn
    assert "| 777 |" in drawn
    assert "Quelqu’un" in made.markdown("fr")
    assert made.markdown("fr").count("\n") == drawn.count("\n")
    assert count_of(here) == {(MARCH.id, "foreign_edit"): 1}


def count_of(here: Country) -> dict[tuple[str, str], int]:
    with here.warehouse.connect() as connection:
        return count_discrepancies(connection, here.client.base_url, "PERF")


def test_the_rows_shown_are_capped_and_the_rest_is_counted(here: Country) -> None:
    here.fill(units=OURS[:2])
    here.report()
    foreign = Foreign(here)
    for element, unit, combo in here.stored():
        foreign.put((element, unit, combo), "7777")
    foreign.done()
    made = reconcile(here)
    assert (made.counts["foreign_edit"], len(made.rows)) == (160, 100)
    assert "and 60 more" in made.markdown()


def test_strangers_are_let_stand_by_a_persons_word_until_they_change(here: Country) -> None:
    here.fill(units=OURS[:1])
    here.report()
    one, other = (ELEMENTS[0], THEIRS[0], COMBOS[0]), (ELEMENTS[0], THEIRS[1], COMBOS[0])
    post(here, {one: "4", other: "4"})
    assert reconcile(here).counts["unknown_value"] == 2
    accept = (here.warehouse, here.client.base_url, "PERF", MARCH.id)
    assert accept_unknown_values(*accept, org_unit=THEIRS[0], run_id="me") == 1
    assert found(here) == {other: "unknown_value"}
    made = reconcile(here)
    assert (made.counts["unknown_value"], found(here)) == (1, {other: "unknown_value"})
    assert accept_unknown_values(*accept, org_unit=None, run_id="me") == 1
    assert (reconcile(here).findings, found(here, "resolution = 'accepted' and run_id = 'me'").keys()) == (
        (),
        {one, other},
    )
    post(here, {one: "5"})
    assert (reconcile(here).counts["unknown_value"], found(here)) == (1, {one: "unknown_value"})
    assert here.stored()[one] == "5"  # and nothing of it was touched
