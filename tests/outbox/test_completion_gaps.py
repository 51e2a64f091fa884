"""Units of which DHIS2 lacks a value are not called complete: one that reconcile did not find, or a compulsory one."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from opensrp_dhis2.audit.reconcile import reconcile_period
from opensrp_dhis2.outbox.completion import Completed
from opensrp_dhis2.outbox.late import due_periods
from opensrp_dhis2.outbox.reporter import Report, completions_markdown
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.completions import DEFAULT, CompletionSite, completion_site
from tests.support.dhis2_site import SEPTEMBER, Dhis2Site, as_admin
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals

ONE, TWO = "OuFacility1", "OuFacility2"
VISITS, SIGNED = "DeVisits001", "DeSigned001"
BOTH = {("visits", ONE): 5, ("visits", TWO): 7}


class Site:
    """A sandbox, its completions, and the reports that go to it."""

    def __init__(self, dhis2: CompletionSite, policy: str) -> None:
        self.dhis2, self.reporting = dhis2, Dhis2Site(dhis2.url, dhis2.warehouse)
        self.reporting.client.close()
        self.reporting.client = dhis2.client
        self.rules = DataSet.model_validate({"period_type": "Monthly", "open_periods": 36, "completion": policy})
        self.runs = 0

    def report(self, **rules: Any) -> Report:
        self.runs += 1
        return self.reporting.report(f"run-{self.runs}", self.rules.model_copy(update=rules))

    def reconcile(self, policy: str = "report") -> dict[str, int]:
        made = reconcile_period(
            self.dhis2.warehouse, self.reporting.client, "DS_M", "202509", external_edits=policy, run_id="look"
        )
        return made.counts

    def write(self, unit: str, value: str, element: str = VISITS, strategy: str = "CREATE_AND_UPDATE") -> None:
        """Enter a value as somebody else does, in DHIS2."""
        cell = {"dataElement": element, "period": "202509", "orgUnit": unit, "value": value,
                "categoryOptionCombo": DEFAULT, "attributeOptionCombo": DEFAULT}  # fmt: skip
        body = {"dataSet": "DsMonthly01", "dataValues": [cell]}
        url, params = f"{self.dhis2.url}/api/dataValueSets", {"importStrategy": strategy}
        as_admin("POST", url, json=body, params=params)

    def lose(self, unit: str, element: str = VISITS) -> None:
        self.write(unit, "0", element, "DELETE")

    def is_due(self) -> bool:
        start, today = date(2025, 1, 1), date(2026, 11, 21)
        with self.dhis2.warehouse.connect() as connection:
            due = due_periods(connection, self.dhis2.url, "DS_M", self.rules, start_on=start, today=today)
        return [one.period.id for one in due] == ["202509"]


@pytest.fixture
def dhis2(version: str, warehouse: Warehouse, set_totals: SetTotals) -> Iterator[CompletionSite]:
    set_totals(BOTH)
    with completion_site(warehouse, version) as opened:
        yield opened


def test_a_unit_whose_value_reconcile_did_not_find_is_taken_back_and_comes_again(dhis2: CompletionSite) -> None:
    here = Site(dhis2, "mirror")
    assert here.report().completed == Completed(registered=2)
    here.lose(ONE)
    assert here.reconcile()["missing_in_dhis2"] == 1
    assert here.is_due()  # for the completion alone: no value waits
    done = here.report().completed
    assert (done.deleted, done.waiting, dhis2.units()) == (1, 1, [TWO])
    assert dhis2.ledger()[ONE] == ("withheld", "value_missing")
    assert f"did not find it there: the unit is not called complete. {VISITS} | 1 |" in done.markdown()
    assert "saisie n’est pas déclarée close" in done.markdown("fr")
    assert not here.is_due()
    assert here.report().completed.deleted == 0
    here.reconcile("overwrite")
    assert here.report().completed == Completed(registered=1)
    assert (dhis2.units(), dhis2.ledger()[ONE]) == ([ONE, TWO], ("registered", None))


def test_a_unit_of_which_a_value_is_missing_is_not_registered_at_first(dhis2: CompletionSite) -> None:
    here = Site(dhis2, "when_complete")
    here.report(completion="never")
    here.lose(ONE)
    here.reconcile()
    done = here.report().completed
    assert (done.registered, done.waiting, dhis2.units()) == (1, 1, [TWO])
    here.write(ONE, "5")  # it was deleted by mistake
    here.reconcile()
    assert here.is_due()
    assert (here.report().completed, dhis2.units()) == (Completed(registered=1), [ONE, TWO])


def test_without_in_step_a_registration_stands_whatever_reconcile_finds(dhis2: CompletionSite) -> None:
    here = Site(dhis2, "when_complete")
    here.report()
    here.lose(ONE)
    here.reconcile()
    assert not here.is_due()
    assert (here.report().completed, dhis2.units()) == (Completed(), [ONE, TWO])


def test_a_value_that_was_sent_again_since_is_missing_no_longer(dhis2: CompletionSite, set_totals: SetTotals) -> None:
    here = Site(dhis2, "mirror")
    here.report()
    here.lose(ONE)
    here.reconcile()
    set_totals(BOTH | {("visits", ONE): 6})
    assert (here.report().completed, dhis2.units()) == (Completed(), [ONE, TWO])
    found = rows(dhis2.warehouse, "select kind, resolution from outbox.discrepancy")
    assert found == [("missing_in_dhis2", "gone")]


def test_a_value_that_went_back_and_forth_unsent_is_missing_still(dhis2: CompletionSite, set_totals: SetTotals) -> None:
    """The ledger calls it delivered again, and no request carried it since it was found missing."""
    here = Site(dhis2, "mirror")
    here.report()
    here.lose(ONE)
    here.reconcile()
    for total in (6, 5):
        set_totals(BOTH | {("visits", ONE): total})
        here.reporting.reporter("plans", here.rules).plan(SEPTEMBER)
    assert here.report().completed.deleted == 1
    assert dhis2.units() == [TWO]


def test_what_somebody_changed_or_entered_besides_is_no_gap(dhis2: CompletionSite) -> None:
    """DHIS2 holds a value in each cell: whose number is right is for people to say."""
    here = Site(dhis2, "mirror")
    here.report()
    here.write(ONE, "77")
    here.write(TWO, "1", SIGNED)
    found = here.reconcile()
    assert (found["foreign_edit"], found["unknown_value"]) == (1, 1)
    assert not here.is_due()
    assert (here.report().completed, dhis2.units()) == (Completed(), [ONE, TWO])


def operand(element: str, combo: str | None = DEFAULT) -> dict[str, Any]:
    return {"dataElement": {"id": element}} | ({"categoryOptionCombo": {"id": combo}} if combo else {})


@pytest.mark.parametrize("combo", [DEFAULT, None])
def test_a_unit_without_a_compulsory_value_is_not_complete_whoever_should_enter_it(
    version: str, warehouse: Warehouse, set_totals: SetTotals, combo: str | None
) -> None:
    set_totals(BOTH | {("signed", TWO): 3})
    with completion_site(warehouse, version, compulsoryDataElementOperands=[operand(SIGNED, combo)]) as dhis2:
        here = Site(dhis2, "mirror")
        report = here.report()
        assert (report.completed.registered, report.completed.waiting, dhis2.units()) == (1, 1, [TWO])
        assert dhis2.ledger()[ONE] == ("withheld", "E7605")
        said = completions_markdown([report, replace(report, completed=Completed())])
        assert said.startswith("202509\n\n| completion | why | units |")
        assert said.endswith(f"a compulsory field is empty. {SIGNED} | 1 |")
        assert here.is_due()  # somebody may have entered it: DHIS2 alone can say
        here.write(ONE, "4", SIGNED)
        assert (here.report().completed, dhis2.units()) == (Completed(registered=1), [ONE, TWO])
        here.lose(ONE, SIGNED)
        assert (here.report().completed.deleted, dhis2.units()) == (1, [TWO])


def test_a_zero_that_dhis2_drops_fills_no_compulsory_field(
    version: str, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    set_totals({("visits", ONE): 0, ("signed", ONE): 3, ("visits", TWO): 1})
    with completion_site(warehouse, version, compulsoryDataElementOperands=[operand(VISITS)]) as dhis2:
        Site(dhis2, "when_complete").report(zeros="reporting_units")
        assert dhis2.units() == ([TWO] if version == "2.41" else [ONE, TWO])


def test_a_compulsory_field_that_reconcile_finds_empty_is_named_as_missing(
    version: str, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    set_totals(BOTH)
    with completion_site(warehouse, version, compulsoryDataElementOperands=[operand(VISITS)]) as dhis2:
        here = Site(dhis2, "mirror")
        assert here.report().completed == Completed(registered=2)
        here.lose(ONE)
        here.reconcile()
        here.report()
        assert (dhis2.units(), dhis2.ledger()[ONE]) == ([TWO], ("withheld", "value_missing"))


def test_what_the_account_may_not_write_is_not_asked_of_it(
    version: str, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """As DHIS2 does: a field under a category option that is not shared with the account."""
    set_totals(BOTH)
    with completion_site(warehouse, version, compulsoryDataElementOperands=[operand(SIGNED, "CocClosed01")]) as dhis2:
        here = Site(dhis2, "when_complete")
        execute(
            warehouse,
            "insert into lookup.category_option_combo"
            " values ('CocClosed01', null, 'Closed', 'CcClosed001', '{x}', '{CoClosed001}')",
        )
        execute(warehouse, "insert into lookup.category_option values ('CoClosed001', 'x', null, null, false)")
        assert here.report().completed == Completed(registered=2)
