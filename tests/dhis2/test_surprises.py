"""The index of FINDINGS, sections 2 (what real servers do) and 7 (what a client must do): number, recording, test.

Below it stand the tests of recordings that are not one reply: races, throughput, periods through time.
"""

import ast
import json
import re
from datetime import date
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from opensrp_dhis2.dhis2.imports.interpret import interpret
from opensrp_dhis2.dhis2.imports.verdict import Verdict
from opensrp_dhis2.dhis2.models import Reply, ServerVersion
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.outbox.data_entry_window import DataEntryWindow
from opensrp_dhis2.settings import Settings
from tests.conftest import ROOT
from tests.dhis2 import recordings
from tests.dhis2.made_up import a_reply, a_value
from tests.dhis2.recordings import VERSIONS, exchange, load

Json = dict[str, Any]
DONE = {Verdict.STORED, Verdict.UNCHANGED, Verdict.DELETED}
# number | recording | file below tests/ | test; the recording is the test's parameter, or its number begins the name
INDEX = """
2.1  | 10-text-nul                   | dhis2/test_import_reply | test_success_that_ignored_every_row_is_a_lost_write
2.1  | 21c-duplicate-implicit-default| dhis2/test_import_reply | test_success_that_ignored_every_row_is_a_lost_write
2.1  | 49-nul-with-good-rows         | dhis2/test_import_reply | test_success_that_ignored_every_row_is_a_lost_write
2.1  | 49n-nul-last-of-2689          | dhis2/test_import_reply | test_49n_*_a_whole_large_request_can_be_lost_in_a_success
2.1  | 38-concurrent                 | dhis2/test_surprises    | test_in_a_race_no_row_is_called_stored_that_is_not_*
2.1  | 38b-concurrent-new-period     | dhis2/test_surprises    | test_in_a_race_no_row_is_called_stored_that_is_not_*
2.1  | 38b-concurrent-new-period     | outbox/test_recorded_surprises | test_38b_*_the_first_request_*_goes_alone_and_small
2.1  | 38-concurrent                 | outbox/test_push        | test_a_write_that_dhis2_loses_in_silence_is_found_and_*
2.2  | 49n-nul-last-of-2689          | dhis2/test_import_reply | test_49n_*_a_failed_flush_leaves_every_row_unknown_*
2.2  | 49n-nul-last-of-2689          | outbox/test_push        | test_a_write_that_dhis2_loses_in_silence_is_found_and_*
2.3  | 22-zero-insignificant-new     | dhis2/test_import_reply | test_the_zero_rule_of_the_old_engine
2.3  | 22d-zero-over-existing        | dhis2/test_import_reply | test_the_zero_rule_of_the_old_engine
2.4  | 34g-read-out-of-scope         | dhis2/test_client | test_a_forbidden_read_back_is_an_error_and_never_no_values
2.4  | 14c2-superuser-no-ou-read     | dhis2/test_client | test_a_read_back_that_was_not_done_is_told_from_an_empty_one_*
2.4  | 39h-read-empty                | dhis2/test_client | test_an_empty_slice_reads_as_no_values
2.5  | 30p-complete-new-period       | dhis2/test_completion | test_30p_a_period_that_the_server_never_saw_is_tried_once_more
2.6  | 12c-period-month-13           | dhis2/test_import_reply | test_an_unreadable_period_is_refused_for_good_on_*
2.6  | 23-json-number                | dhis2/test_import_reply | test_an_unquoted_member_is_a_permanent_failure
2.6  | 30e-completedate-true         | dhis2/test_import_reply | test_an_unquoted_member_is_a_permanent_failure
2.7  | 25c-json-array                | dhis2/test_import_reply | test_success_that_counted_nothing_stored_nothing
2.7  | 32f2-aoc-option-map-header    | dhis2/test_import_reply | test_success_that_counted_nothing_stored_nothing
2.8  | 09c-coc-omitted-on            | outbox/test_recorded_surprises | test_09c_34d_23_every_request_names_*
2.8  | 09-coc-default-on             | dhis2/test_import_reply | test_of_a_refused_group_the_guilty_are_refused_*
2.9  | 34d-no-data-write-no-ds       | outbox/test_recorded_surprises | test_09c_34d_23_every_request_names_*
2.9  | 34c-no-data-write             | dhis2/test_import_reply | test_34c_no_data_write_is_the_users_and_not_retried
2.10 | 16-ou-not-assigned            | outbox/test_recorded_surprises | test_what_2_41_would_take_in_silence_*
2.10 | 16c-ou-closed                 | outbox/test_recorded_surprises | test_what_2_41_would_take_in_silence_*
2.10 | 17-de-not-in-ds               | outbox/test_recorded_surprises | test_what_2_41_would_take_in_silence_*
2.10 | 46-strict                     | outbox/test_recorded_surprises | test_46_strict_the_old_engine_is_asked_to_check_*
2.10 | 46-strict-periods             | dhis2/test_surprises    | test_the_old_engine_when_strict_names_the_guilty_row_*
2.11 | 07b-unknown-ou-with-good      | dhis2/test_import_reply | test_of_a_refused_group_the_guilty_are_refused_*
2.11 | 20-mixed-values               | dhis2/test_import_reply | test_20_mixed_values_is_read_alike_at_200_and_at_409
2.11 | 37f-5000-one-bad-ou           | dhis2/test_surprises    | test_37f_5000_one_bad_ou_*
2.11 | 20b-mixed-refs                | outbox/test_recorded_surprises | test_20b_mixed_refs_two_kinds_of_guilty_rows_*
2.12 | 52-patch-name                 | dhis2/test_routes       | test_52_patch_54_put_a_change_keeps_every_kind_of_secret_*
2.12 | 54-put-get                    | dhis2/test_routes       | test_52_patch_54_put_a_change_keeps_every_kind_of_secret_*
2.13 | 54b-put-noauth                | dhis2/test_routes       | test_54b_put_noauth_a_server_that_makes_routes_public_*
2.14 | 55b2-run-wild-query-space     | dhis2/test_route_runs   | test_a_query_that_dhis2_spoils_is_refused_by_name_*
2.14 | 55b3-run-wild-query-amp       | dhis2/test_route_runs   | test_a_query_that_dhis2_spoils_is_refused_by_name_*
2.15 | 51-run-api-query-params       | dhis2/test_route_runs   | test_a_route_with_query_parameter_auth_fails_by_dhis2s_*
2.16 | 56g-concurrent-runs           | dhis2/test_route_runs   | test_56g_concurrent_runs_*_by_a_safe_method_only
2.17 | 37-throughput                 | dhis2/test_surprises    | test_37_throughput_*
2.18 | 60d-oauth2-client-list        | dhis2/test_client       | test_60d_oauth2_client_list_no_answer_is_quoted_*
7.1  | 23-json-number                | outbox/test_recorded_surprises | test_09c_34d_23_every_request_names_*
7.1  | 38b-concurrent-new-period     | outbox/test_recorded_surprises | test_38b_*_the_first_request_*_goes_alone_and_small
7.2  | 49-nul-with-good-rows         | outbox/test_recorded_surprises | test_49_nul_with_good_rows_the_ledger_takes_no_*
7.2  | 07-unknown-ou                 | outbox/test_recorded_surprises | test_what_2_41_would_take_in_silence_*
7.2  | 13-running-period             | dhis2/test_surprises    | test_a_period_is_held_open_for_as_long_as_*
7.2  | 14-expired                    | dhis2/test_surprises    | test_a_period_is_held_open_for_as_long_as_*
7.3  | 02-reimport-identical         | dhis2/test_import_reply | test_02_reimport_identical_is_unchanged_before_2_43_*
7.3  | 25c-json-array                | dhis2/test_import_reply | test_success_that_counted_nothing_stored_nothing
7.4  | 12c-period-month-13           | dhis2/test_surprises    | test_only_what_may_succeed_is_sent_again
7.5  | 20b-mixed-refs                | outbox/test_recorded_surprises | test_20b_mixed_refs_two_kinds_of_guilty_rows_*
7.6  | 35b-no-auth                   | dhis2/test_failed_reply | test_an_account_that_is_not_let_in_stores_nothing_*
7.6  | 34g-read-out-of-scope         | dhis2/test_client | test_a_forbidden_read_back_is_an_error_and_never_no_values
7.7  | 30p-complete-new-period       | dhis2/test_completion | test_30p_a_period_that_the_server_never_saw_is_tried_once_more
7.8  | 54-put-get                    | dhis2/test_routes       | test_52_patch_54_put_a_change_keeps_every_kind_of_secret_*
7.8  | 55b2-run-wild-query-space     | dhis2/test_route_runs   | test_a_query_that_dhis2_spoils_is_refused_by_name_*
"""
ROWS = [tuple(part.strip() for part in line.split("|")) for line in INDEX.strip().splitlines()]


@cache
def metadata() -> Json:
    found: Json = json.loads((recordings.FOLDER / "metadata.json").read_text())
    return found


@pytest.mark.parametrize("section", ["2", "7"])
def test_every_numbered_item_of_the_findings_is_in_the_index(shared: Path, section: str) -> None:
    text = (shared / "contracts" / "dhis2" / "FINDINGS.md").read_text()
    item = text.partition(f"\n## {section}. ")[2].partition("\n## ")[0]
    numbers = {f"{section}.{number}" for number in re.findall(r"^(\d+)\. ", item, flags=re.MULTILINE)}
    assert len(numbers) > 7
    assert numbers == {number for number, *_ in ROWS if number.startswith(f"{section}.")}


@pytest.mark.parametrize(("number", "recording", "file", "test"), ROWS, ids=lambda part: part.rpartition("/")[2])
def test_the_index_names_recordings_and_tests_that_are_there(number: str, recording: str, file: str, test: str) -> None:
    assert list(recordings.shared_folder().glob(f"2.4*/{recording}*.json"))
    source = (ROOT / "tests" / f"{file}.py").read_text()
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    (found,) = [node for node in functions if fnmatch(node.name, test)]
    first = min(node.lineno for node in (found, *found.decorator_list))
    own = "\n".join(source.splitlines()[first - 1 : found.end_lineno])
    assert f"_{recording.partition('-')[0]}_" in found.name or recording in own or f'"{recording}": ' in source, number


def raced(version: str, name: str) -> list[tuple[list[Reply], int, int]]:
    """Give the races of a recording: the answers, how many rows each request had, and how many rows stood afterwards."""
    recording = load(version, name)
    if name.startswith("38-"):
        return [
            ([answered(version, one) for one in race["answers"]], race["values_each"], int(race["rows_stored"]))
            for race in recording["results"]
        ]
    replies = []
    for text, times in recording["answers"].items():
        http, counts, codes, _ = ast.literal_eval(text)
        answer = {"http": http, "importCount": json.loads(counts), "conflicts": [{"errorCode": code} for code in codes]}
        replies += [answered(version, answer)] * times
    return [(replies, 160, sum(one["rows_stored"] for one in recording["stored"]))]


def answered(version: str, answer: Json) -> Reply:
    """Put together again an answer that the recorder shortened."""
    imported, updated, ignored, deleted = (
        answer["importCount"][name] for name in ("imported", "updated", "ignored", "deleted")
    )
    conflicts = [{**one, "indexes": [*range(ignored)]} for one in answer["conflicts"]]
    is_lost = imported + updated + ignored == 0
    old = {"description": "Failed to flush BatchHandler" if is_lost else "Import process completed successfully"}
    members = {"conflicts": conflicts, **(old if version.startswith("2.41") else {})}
    return a_reply(answer["http"], (imported, updated, ignored, deleted), **members)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["38-concurrent", "38b-concurrent-new-period-distinct-keys"])
def test_in_a_race_no_row_is_called_stored_that_is_not_and_what_is_lost_may_go_again(version: str, name: str) -> None:
    is_same_keys = name.startswith("38-")
    for replies, size, stood in raced(version, name):
        sent = [a_value(number) for number in range(size)]
        read = [interpret(reply, sent, ServerVersion.parse(version)) for reply in replies]
        called = [sum(row.verdict in DONE for row in one.rows) for one in read]
        assert (max(called) if is_same_keys else sum(called)) == stood
        assert all(one.is_retryable for one, done in zip(read, called, strict=True) if done < size)
        assert not any(row.verdict is Verdict.REFUSED for one in read for row in one.rows)


@pytest.mark.parametrize("version", VERSIONS)
def test_37f_5000_one_bad_ou_costs_one_row(version: str) -> None:
    recording = load(version, "37f-5000-one-bad-ou")
    (conflict,) = recording["response"]["body"]["response"]["conflicts"]
    conflict["indexes"] = [2500] if version.startswith("2.41") else [*range(5000)]  # the recorder cut the list
    sent = [a_value(number) for number in range(5000)]
    sent[2500] = a_value(org_unit="OuNotThere1")
    read = interpret(recordings.reply_of(recording), sent, ServerVersion.parse(version))
    assert [index for index, row in enumerate(read.rows) if row.verdict is Verdict.REFUSED] == [2500]


STRICT = {
    "46-strict-periods": "E7632", "46-strict-data-elements": "E7633", "46-strict-cocs": "E7634",
    "46-strict-aocs": "E7635", "46-strict-org-units": "E7636", "46-strict-require-coc": "E7630",
    "46-strict-require-aoc": "E7631",
}  # fmt: skip


@pytest.mark.parametrize("name", STRICT)
def test_the_old_engine_when_strict_names_the_guilty_row_and_stores_the_good_one(name: str) -> None:
    recorded = exchange("2.41.9.1", name)
    read = interpret(recorded.reply, recorded.sent, recorded.version, asked=recorded.asked)
    assert [(row.verdict, row.code) for row in read.rows] == [
        (Verdict.REFUSED, STRICT[name]),
        (Verdict.STORED, None),
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "name",
    ["13-running-period", "13b-future-period", "13c-running-period-open1", "13d-next-period-open1", "13e-running-week",
     "13f-last-full-week", "14-expired"],
)  # fmt: skip
def test_a_period_is_held_open_for_as_long_as_the_recorded_server_takes_its_values(version: str, name: str) -> None:
    data_sets = {one["id"]: one for stage in metadata()["stages"] for one in stage.get("dataSets", [])}
    recorded, body = exchange(version, name), load(version, name)["request"]["body"]
    data_set = data_sets[body["dataSet"]]
    rules = (data_set.get("openFuturePeriods", 0), data_set.get("expiryDays", 0), False)
    window = DataEntryWindow(body["dataSet"], *rules, date(2026, 11, 21))
    period = parse_period(recorded.sent[0].data_value.period)
    verdict = interpret(recorded.reply, recorded.sent, recorded.version, asked=recorded.asked).rows[0].verdict
    assert window.is_open(period) is (verdict is Verdict.STORED)
    assert verdict in (Verdict.STORED, Verdict.REFUSED)


@pytest.mark.parametrize(
    ("version", "name", "is_sent_again"),
    [
        ("2.43.1", "49-nul-with-good-rows", True),
        ("2.41.9.1", "49n-nul-last-of-2689", True),
        ("2.43.1", "12c-period-month-13", False),
        ("2.43.1", "23-json-number", False),
        ("2.43.1", "25-malformed-json", False),
        ("2.43.1", "25d-text-plain", False),
        ("2.41.9.1", "25d-text-plain", False),
        ("2.43.1", "35-wrong-password", False),
        ("2.43.1", "34-no-authority", False),
        ("2.43.1", "35b-no-auth", False),
    ],
)
def test_only_what_may_succeed_is_sent_again(version: str, name: str, *, is_sent_again: bool) -> None:
    reply = recordings.reply_of(load(version, name))
    read = interpret(reply, [a_value(number) for number in range(9)], ServerVersion.parse(version))
    assert read.is_retryable is is_sent_again
    assert not DONE & read.tally().keys()


def test_37_throughput_a_request_is_of_the_size_at_which_2_43_is_fastest() -> None:
    recording = load("2.43.1", "37-throughput")
    created = [one for one in recording["results"] if one["label"] == "create"]
    speed = {one["values"]: one["values"] / one["seconds"] for one in created}
    assert max(speed, key=lambda values: speed[values]) == Settings.model_fields["dhis2_batch_size"].default
    assert speed[1000] > 4 * speed[50_000]
