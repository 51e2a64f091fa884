"""The reading of import replies, held against every recorded import of two real servers."""

from collections import Counter

import pytest

from opensrp_dhis2.dhis2.imports.interpret import interpret
from opensrp_dhis2.dhis2.models import ServerVersion, Verdict
from tests.support import dhis2_recordings as recordings
from tests.support.dhis2_recordings import Exchange, exchange, import_names, is_true
from tests.support.import_reply import a_reply, a_value

OLD, NEW = ServerVersion.parse("2.41.9.1"), ServerVersion.parse("2.43.1")
DONE = {Verdict.STORED, Verdict.UNCHANGED, Verdict.DELETED}
NAMES = import_names() if recordings.FOLDER.is_dir() else []


def verdicts(version: str, name: str) -> list[tuple[str, str | None]]:
    recorded = exchange(version, name)
    read = interpret(recorded.reply, recorded.sent, recorded.version)
    return [(row.verdict.value, row.code) for row in read.rows]


@pytest.mark.parametrize(("version", "name"), NAMES, ids=lambda part: str(part))
def test_no_verdict_contradicts_what_the_recorded_server_stored(version: str, name: str) -> None:
    recorded: Exchange = exchange(version, name)
    read = interpret(recorded.reply, recorded.sent, recorded.version)
    assert len(read.rows) == len(recorded.sent)
    wrong = [
        (row, sent)
        for row, sent in zip(read.rows, recorded.sent, strict=True)
        if recorded.shows(sent.data_value) and not is_true(row, sent, None, recorded.after)
    ]
    assert wrong == []


def test_the_recordings_hold_enough_imports_to_mean_something() -> None:
    recordings.shared_folder()
    assert len(NAMES) > 365


@pytest.mark.parametrize("version", recordings.VERSIONS)
def test_every_recorded_answer_to_an_import_can_be_read(version: str) -> None:
    replies = recordings.import_replies(version)
    assert len(replies) > 220
    for name, reply in replies:
        read = interpret(reply, [a_value(n) for n in range(40)], ServerVersion.parse(version))
        assert len(read.rows) == 40, name
        assert not DONE & read.tally().keys(), name  # none of them was an answer to 40 rows


# FINDINGS section 2: each surprise by the name of its recording


@pytest.mark.parametrize(
    "name",
    [
        "10-text-nul", "49-nul-with-good-rows", "49b-implicit-and-explicit-default-with-good-rows",
        "21c-duplicate-implicit-default",
    ],
)  # fmt: skip
def test_success_that_ignored_every_row_is_a_lost_write(name: str) -> None:
    recorded = exchange("2.43.1", name)
    read = interpret(recorded.reply, recorded.sent, recorded.version)
    assert {(row.verdict, row.code) for row in read.rows} == {(Verdict.UNKNOWN, "write_lost")}


def test_49n_nul_last_of_2689_a_whole_large_request_can_be_lost_in_a_success() -> None:
    recording = recordings.load("2.43.1", "49n-nul-last-of-2689")
    read = interpret(recordings.reply_of(recording), [a_value(n) for n in range(2689)], NEW)
    assert read.tally() == {Verdict.UNKNOWN: 2689}


def test_49n_nul_last_of_2689_a_failed_flush_leaves_every_row_unknown_since_some_are_stored() -> None:
    recording = recordings.load("2.41.9.1", "49n-nul-last-of-2689")
    read = interpret(recordings.reply_of(recording), [a_value(n) for n in range(2689)], OLD)
    assert (read.tally(), read.cause) == ({Verdict.UNKNOWN: 2689}, "flush_failed")


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("22-zero-insignificant-new", "dropped"),
        ("22e-zero-insignificant-with-comment", "dropped"),
        ("22d-zero-over-existing", "dropped"),
        ("22b-zero-significant-new", "stored"),
    ],
)
def test_the_zero_rule_of_the_old_engine(name: str, verdict: str) -> None:
    assert verdicts("2.41.9.1", name) == [(verdict, None)]
    assert verdicts("2.43.1", name) == [("stored", None)]


def test_a_zero_that_revives_a_deleted_cell_is_stored() -> None:
    reply = a_reply(200, (1, 0, 0, 0), description="Import process completed successfully")
    (row,) = interpret(reply, [a_value(value="0", is_droppable_zero=True)], OLD).rows
    assert row.verdict is Verdict.STORED


@pytest.mark.parametrize("name", ["12c-period-month-13", "12d-period-garbage"])
def test_an_unreadable_period_is_refused_for_good_on_both_engines(name: str) -> None:
    for version, code in (("2.43.1", "unreadable_period"), ("2.41.9.1", "E7611")):
        assert ("refused", code) in verdicts(version, name)


def test_an_unreadable_period_blocks_the_good_rows_and_does_not_refuse_them() -> None:
    recorded = exchange("2.43.1", "12c-period-month-13")
    read = interpret(recorded.reply, recorded.sent, recorded.version)
    assert read.tally() == {Verdict.REFUSED: 1, Verdict.BLOCKED: 1}


@pytest.mark.parametrize(
    "name", ["23-json-number", "23b-json-boolean", "23c-period-json-number", "30e-completedate-true"]
)
def test_an_unquoted_member_is_a_permanent_failure(name: str) -> None:
    recorded = exchange("2.43.1", name)
    read = interpret(recorded.reply, recorded.sent, recorded.version)
    assert read.cause == "unquoted_member"
    assert not DONE & read.tally().keys()


@pytest.mark.parametrize(
    ("version", "name"), [("2.43.1", "25c-json-array"), ("2.41.9.1", "32f2-aoc-option-map-header")]
)
def test_success_that_counted_nothing_stored_nothing(version: str, name: str) -> None:
    recording = recordings.load(version, name)
    read = interpret(recordings.reply_of(recording), [a_value()], ServerVersion.parse(version))
    assert [(row.verdict, row.code) for row in read.rows] == [(Verdict.UNKNOWN, "nothing_counted")]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("07b-unknown-ou-with-good", "E8022"),
        ("16b-ou-not-assigned-with-good", "E8022"),
        ("13-running-period", "E8030"),
        ("14b-expired-mixed", "E8030"),
        ("15f-approved-push", "E8033"),
        ("20b-mixed-refs", "E8020"),
        ("34b-no-ou-access", "E8011"),
        ("08-unknown-coc", "E8024"),
        ("09-coc-default-on-disaggregated", "E8024"),
        ("08b-unknown-aoc", "E8023"),
        ("12-period-weekly-in-monthly", "E8021"),
        ("32h-aoc-ended", "E8032"),
        ("06c-malformed-de", "E8104"),
        ("06d-missing-de", "E8102"),
        ("27f-code-case", "E8107"),
    ],
)
def test_of_a_refused_group_the_guilty_are_refused_and_the_others_blocked(name: str, code: str) -> None:
    read = verdicts("2.43.1", name)
    assert Counter(read)[("refused", code)] == 1
    assert {row for row in read if row[0] != "refused"} == {("blocked", code)}


def test_the_ids_that_a_refused_group_names_are_given() -> None:
    recorded = exchange("2.43.1", "07b-unknown-ou-with-good")
    assert interpret(recorded.reply, recorded.sent, recorded.version).guilty == {"OuNotThere1"}


def test_a_request_with_a_doubled_cell_stores_nothing() -> None:
    assert Counter(verdicts("2.43.1", "21b-duplicate-same")) == {("blocked", "E8128"): 3}


@pytest.mark.parametrize(("version", "code"), [("2.41.9.1", "E7601"), ("2.43.1", "E8010")])
def test_34c_no_data_write_is_the_users_and_not_retried(version: str, code: str) -> None:
    recorded = exchange(version, "34c-no-data-write")
    read = interpret(recorded.reply, recorded.sent, recorded.version)
    assert (read.cause, read.is_user_cause) == (code, True)


def test_a_good_period_that_another_request_was_creating_may_go_again() -> None:
    conflict = {"errorCode": "E7611", "objects": {"period": "202501"}, "indexes": [0, 1]}
    reply = a_reply(409, (0, 0, 2, 0), status="WARNING", conflicts=[conflict], description="done")
    read = interpret(reply, [a_value(0), a_value(1)], OLD)
    assert read.tally() == {Verdict.BLOCKED: 2}


@pytest.mark.parametrize("version", recordings.VERSIONS)
def test_20_mixed_values_is_read_alike_at_200_and_at_409(version: str) -> None:
    assert [verdict for verdict, _ in verdicts(version, "20-mixed-values")] == [
        "stored", "refused", "stored", "refused", "stored",
    ]  # fmt: skip


def test_02_reimport_identical_is_unchanged_before_2_43_and_stored_after() -> None:
    assert {verdict for verdict, _ in verdicts("2.41.9.1", "02-reimport-identical")} == {"unchanged"}
    assert {verdict for verdict, _ in verdicts("2.43.1", "02-reimport-identical")} == {"stored"}


def test_a_server_that_was_upgraded_unseen_gets_no_credit_for_ignored_rows() -> None:
    reply = a_reply(200, (0, 0, 2, 0))  # what 2.43 says of a lost write, read by one who still believes in 2.41
    assert interpret(reply, [a_value(0), a_value(1)], OLD).tally() == {Verdict.UNKNOWN: 2}


def test_an_unknown_code_refuses_only_the_rows_it_names() -> None:
    conflict = {"errorCode": "E9999", "objects": {"args": "0"}, "indexes": [0]}
    read = interpret(a_reply(200, (0, 1, 1, 0), status="WARNING", conflicts=[conflict]), [a_value(0), a_value(1)], NEW)
    assert [(row.verdict, row.code) for row in read.rows] == [(Verdict.REFUSED, "E9999"), (Verdict.STORED, None)]


def test_an_unknown_code_over_a_whole_group_blocks_it() -> None:
    conflict = {"errorCode": "E9998", "objects": {"args": "x"}, "indexes": [0, 1]}
    read = interpret(a_reply(409, (0, 0, 0, 0), status="ERROR", conflicts=[conflict]), [a_value(0), a_value(1)], NEW)
    assert read.tally() == {Verdict.BLOCKED: 2}


def test_a_row_that_is_counted_twice_makes_the_whole_reply_doubtful() -> None:
    read = interpret(a_reply(200, (0, 2, 1, 0)), [a_value(0), a_value(1)], NEW)
    assert read.tally() == {Verdict.UNKNOWN: 2}


def test_a_refused_row_that_is_not_counted_as_ignored_makes_the_reply_doubtful() -> None:
    conflict = {"errorCode": "E7619", "objects": {}, "indexes": [0]}
    reply = a_reply(409, (2, 0, 0, 0), conflicts=[conflict], description="done")
    sent = [a_value(0), a_value(1), a_value(2, value="0", is_droppable_zero=True)]
    assert interpret(reply, sent, OLD).tally() == {Verdict.REFUSED: 1, Verdict.UNKNOWN: 2}


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("counts", [(1, 1, 0, 0), (2, 0, 0, 0), (1, 0, 0, 0), (0, 0, 2, 0)])
def test_of_two_values_for_one_cell_nobody_knows_which_stands(
    version: ServerVersion, counts: tuple[int, int, int, int]
) -> None:
    reply = a_reply(200, counts, description="done")
    for other in ("5", "7", "0"):
        sent = [a_value(value="5"), a_value(value=other, is_droppable_zero=version is OLD and other == "0")]
        assert interpret(reply, sent, version).tally() == {Verdict.UNKNOWN: 2}


def test_of_two_zeros_of_which_one_was_imported_nobody_knows_which() -> None:
    sent = [a_value(number, value="0", is_droppable_zero=True) for number in (0, 1)] + [a_value(2)]
    read = interpret(a_reply(200, (2, 0, 0, 0), description="Import process completed successfully"), sent, OLD)
    assert [row.verdict.value for row in read.rows] == ["unknown", "unknown", "stored"]


@pytest.mark.parametrize("said", ["Failed to flush BatchHandler", "Could not open JPA EntityManager for transaction"])
def test_a_failed_import_of_zeros_is_not_taken_for_their_being_dropped(said: str) -> None:
    """Recorded as 49n: counters of a failed import are all 0, which is what dropped zeros count too."""
    reply = a_reply(409, (0, 0, 0, 0), status="ERROR", description=f"The import process failed: {said}")
    zeros = [a_value(number, value="0", is_droppable_zero=True, is_deleted=number == 2) for number in range(3)]
    assert interpret(reply, zeros, OLD).tally() == {Verdict.UNKNOWN: 3}


def test_a_combo_is_guilty_only_with_the_element_that_is_named_with_it() -> None:
    conflict = {"errorCode": "E8024", "objects": {"args": "DsMonthly01-DeTwo000001-[HllvX50cXC0]"}, "indexes": [0, 1]}
    sent = [a_value(data_element="DeOne000001"), a_value(data_element="DeTwo000001")]
    read = interpret(a_reply(409, (0, 0, 0, 0), status="ERROR", conflicts=[conflict]), sent, NEW)
    assert [row.verdict for row in read.rows] == [Verdict.BLOCKED, Verdict.REFUSED]


def test_a_reply_that_counts_more_than_was_left_is_believed_in_nothing() -> None:
    conflict = {"errorCode": "E8122", "objects": {"args": "0"}, "indexes": [0]}
    read = interpret(a_reply(200, (0, 2, 1, 0), conflicts=[conflict]), [a_value(0), a_value(1)], NEW)
    assert read.tally() == {Verdict.UNKNOWN: 2}
