"""The counters of the engine before 2.43: what they prove of rows that share a cell, and of zeros."""

import pytest

from opensrp_dhis2.dhis2.imports.interpret import interpret
from opensrp_dhis2.dhis2.models import SentValue, ServerVersion
from tests.support.import_reply import a_reply, a_value

OLD = ServerVersion.parse("2.41.9.1")
Counts = tuple[int, int, int, int]


def a_zero(number: int = 0, **changes: bool) -> SentValue:
    return a_value(number, value="0", is_droppable_zero=True, **changes)


def verdicts(sent: list[SentValue], counts: Counts, strategy: str = "CREATE_AND_UPDATE") -> list[str]:
    reply = a_reply(200, counts, description="Import process completed successfully")
    return [row.verdict.value for row in interpret(reply, sent, OLD, asked={"importStrategy": strategy}).rows]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((1, 0, 0, 0), ["stored", "refused"]),  # a new cell: the second row is not even counted
        ((0, 2, 0, 0), ["refused", "stored"]),
        ((0, 1, 1, 0), ["refused", "stored"]),  # 5 stood there
        ((1, 1, 0, 0), ["refused", "stored"]),  # a deleted cell
        ((2, 0, 0, 0), ["unknown", "unknown"]),  # cannot be
    ],
)
def test_of_two_values_for_a_cell_the_counters_tell_which_stands(counts: Counts, expected: list[str]) -> None:
    assert verdicts([a_value(value="5"), a_value(value="7")], counts) == expected


def test_a_zero_before_a_value_of_the_same_cell_is_beaten_whatever_stood_there() -> None:
    sent = [a_zero(), a_value(value="5")]
    assert verdicts(sent, (1, 0, 0, 0)) == verdicts(sent, (1, 0, 0, 1)) == ["refused", "stored"]


def test_a_zero_after_a_value_removes_it_where_a_value_stood() -> None:
    sent = [a_value(value="5"), a_zero()]
    assert verdicts(sent, (0, 1, 0, 1)) == ["refused", "dropped"]
    assert verdicts(sent, (1, 0, 0, 0)) == ["stored", "refused"]


def test_two_zeros_for_an_empty_cell_are_both_dropped() -> None:
    assert verdicts([a_zero(), a_zero(), a_value(1)], (1, 0, 0, 0)) == ["dropped", "dropped", "stored"]


def test_of_two_zeros_for_a_cell_one_may_revive_what_the_other_removes() -> None:
    assert verdicts([a_zero(), a_zero()], (1, 0, 0, 1)) == ["unknown", "unknown"]
    assert verdicts([a_zero(), a_zero(), a_zero()], (1, 0, 0, 2)) == ["dropped", "dropped", "dropped"]


def test_of_two_zeros_of_which_one_was_imported_nobody_knows_which() -> None:
    assert verdicts([a_zero(0), a_zero(1), a_value(2)], (2, 0, 0, 0)) == ["unknown", "unknown", "stored"]


def test_a_deletion_of_a_zero_that_strategy_create_leaves_alone_is_not_called_deleted() -> None:
    sent = [a_zero(0, is_deleted=True), a_value(1)]
    assert verdicts(sent, (1, 0, 0, 0), "CREATE") == ["refused", "stored"]


def test_values_that_a_server_may_spell_alike_are_left_to_a_read_back() -> None:
    assert verdicts([a_value(value="1"), a_value(value="true")], (1, 0, 0, 0)) == ["stored", "unknown"]


def test_in_a_request_long_enough_to_be_flushed_a_zero_may_remove_a_new_value() -> None:
    sent = [a_zero(), a_value(value="5"), a_zero()]
    assert verdicts(sent, (1, 0, 0, 1)) == ["unknown"] * 3
    long = [*sent[:2], *(a_value(n, value="9") for n in range(1, 1100)), sent[2]]
    assert [verdicts(long, (1100, 0, 0, 1))[place] for place in (0, 1, -1)] == ["dropped", "refused", "dropped"]


def test_a_request_of_tangled_cells_is_left_to_a_read_back_in_no_time() -> None:
    sent = [a_value(n, value=value) for n in range(600) for value in ("5", "7", "0")]
    assert set(verdicts(sent, (600, 300, 200, 0))) == {"unknown"}


@pytest.mark.parametrize("said", ["Failed to flush BatchHandler", "Could not open JPA EntityManager for transaction"])
def test_a_failed_import_of_zeros_is_not_taken_for_their_being_dropped(said: str) -> None:
    """Recorded as 49n: counters of a failed import are all 0, which is what dropped zeros count too."""
    reply = a_reply(409, (0, 0, 0, 0), status="ERROR", description=f"The import process failed: {said}")
    sent = [a_zero(0), a_zero(1), a_zero(2, is_deleted=True)]
    assert {row.verdict.value for row in interpret(reply, sent, OLD).rows} == {"unknown"}
