"""The judge of the chaos: a true story passes, and each way of telling it wrong is noticed."""

from dataclasses import replace

import pytest

from tests.chaos.agreement import Change, Entry, Evidence, Write, contradictions

CELL, OTHER = ("202509", "DeVisits001", "OuFacil0001"), ("202509", "DeVisits001", "OuFacil0002")
SENT = Write(0, "run 1", {CELL: "3"}, 1, "run 1")
HISTORY = [
    Change(7, None, "pending", "3", None, "run 1", None),
    Change(7, "pending", "sending", "3", None, "run 1", 1),
    Change(7, "sending", "delivered", "3", "3", "run 1", 1),
]
TRUE = Evidence(
    wanted={CELL: "3"},
    ledger={CELL: Entry(7, "3", "3", "delivered", None)},
    stored={CELL: "3"},
    history=HISTORY,
    batch_states={1: "settled"},
    writes=[SENT],
    run_ids=frozenset({"run 1"}),
    refusable_units=frozenset(),
    unknown_units=frozenset(),
    zero_is_nothing=frozenset({"DeVisits001"}),
)
LIES = {
    "DHIS2 has another value": replace(TRUE, stored={CELL: "4"}),
    "DHIS2 has lost it": replace(TRUE, stored={}),
    "DHIS2 has one more": replace(TRUE, stored={CELL: "3", OTHER: "1"}),
    "the indicators say more": replace(TRUE, wanted={CELL: "3", OTHER: "1"}),
    "the indicators say something else": replace(TRUE, wanted={CELL: "4"}),
    "the ledger believes too much": replace(TRUE, ledger={CELL: Entry(7, "3", "4", "delivered", None)}),
    "it still waits": replace(TRUE, ledger={CELL: Entry(7, "3", "3", "pending", None)}),
    "refused though nothing speaks against it": replace(TRUE, ledger={CELL: Entry(7, "3", "3", "refused", "E8022")}),
    "dropped though it is no zero": replace(TRUE, ledger={CELL: Entry(7, "3", "3", "dropped", None)}),
    "a batch is open": replace(TRUE, batch_states={1: "sending"}),
    "a request without a batch": replace(TRUE, writes=[replace(SENT, batch_id=None)]),
    "a request of somebody else": replace(TRUE, writes=[replace(SENT, batch_run_id="run 0")]),
    "sent though it was there": replace(TRUE, writes=[replace(SENT, known_already=(CELL,))]),
    "two contents for one plan": replace(TRUE, writes=[replace(SENT, values={CELL: "2"}), SENT]),
    "the history forgets a step": replace(TRUE, history=[HISTORY[0], HISTORY[2]]),
    "the history names a stranger": replace(TRUE, run_ids=frozenset({"run 2"})),
    "the history ends early": replace(TRUE, history=HISTORY[:2]),
    "the history is empty": replace(TRUE, history=[]),
}


def test_a_true_story_has_no_contradiction() -> None:
    assert contradictions(TRUE) == []


@pytest.mark.parametrize("lie", LIES)
def test_a_wrong_story_is_noticed(lie: str) -> None:
    assert contradictions(LIES[lie])
