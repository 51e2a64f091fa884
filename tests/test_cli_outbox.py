"""The commands below `outbox`, run as a person or a script runs them."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from opensrp_dhis2.cli import main
from opensrp_dhis2.messages.codes import codes
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.english import english_left
from tests.support.report_ledger import HOSTILE, TARGET, seed
from tests.support.sql import execute


class CommandLine:
    """`opensrp-dhis2 outbox` against the ledger of one test."""

    def __init__(self, warehouse: Warehouse, url: str) -> None:
        self.warehouse = warehouse
        self.environment = {"WAREHOUSE_URL": url, "DHIS2_BASE_URL": TARGET, "REPORT_LANGUAGE": "en"}

    def run(self, *words: str, **environment: str) -> Result:
        result = CliRunner().invoke(main, ["outbox", *words], env=self.environment | environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def say(self, *words: str, **environment: str) -> str:
        result = self.run(*words, **environment)
        assert result.exit_code == 0, result.output
        return result.stdout

    def rows(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.say(*words, "--json").splitlines()]


@pytest.fixture
def outbox(warehouse: Warehouse, database_url: str) -> CommandLine:
    with warehouse.connect() as connection:
        seed(connection)
    return CommandLine(warehouse, database_url)


def test_status_counts_every_value_and_says_who_can_mend_it(outbox: CommandLine) -> None:
    said = outbox.say("status")
    assert "10 values (delivered 2, dropped 1, pending 1, refused 1, withheld 3, closed 1, withdrawn 1)" in said
    [line] = [line for line in said.splitlines() if "DHIS2 administrator" in line]
    assert line.split()[:2] == ["E8022", "3"]
    assert "Assign the unit to the data set." in line


def test_status_as_json_has_a_reason_in_each_row(outbox: CommandLine) -> None:
    found = outbox.rows("status")
    assert sum(row["value_count"] for row in found) == 10
    [closed] = [row for row in found if row["state"] == "closed"]
    assert (closed["data_set"], closed["period"], closed["owner"]) == ("DS_M", "202510", "data owner")
    assert closed["sentence"]
    assert closed["remedy"]


def test_status_tells_of_values_of_another_server(outbox: CommandLine) -> None:
    said = outbox.say("status", DHIS2_BASE_URL="https://other.example.org")
    assert f"10 values of {TARGET}" in said
    assert "0 values in the ledger of https://other.example.org" in said


def test_an_address_that_ends_in_api_is_the_same_server(outbox: CommandLine) -> None:
    assert f"in the ledger of {TARGET}\n" in outbox.say("status", DHIS2_BASE_URL=f"{TARGET}/api")


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ([], 10),
        (["--state", "withheld"], 4),
        (["--state", "closed"], 1),
        (["--code", "E8022"], 3),
        (["--data-set", "DS_W"], 2),
        (["--data-set", "DsWeekly001"], 2),
        (["--period", "202509", "--org-unit", "F2"], 3),
        (["--org-unit", "OuFacility2"], 4),
        (["--data-set", "DS_X"], 0),
    ],
)
def test_list_gives_the_values_asked_for(outbox: CommandLine, words: list[str], count: int) -> None:
    assert len(outbox.rows("list", *words)) == count


def test_list_says_how_many_it_leaves_out_and_keeps_json_clean(outbox: CommandLine) -> None:
    assert "7 more of 10" in outbox.say("list", "--limit", "3")
    result = outbox.run("list", "--limit", "3", "--json")
    assert len(result.stdout.splitlines()) == 3
    assert "7 more of 10" in result.stderr


def test_a_piped_list_has_one_whole_line_a_value(outbox: CommandLine) -> None:
    said = outbox.say("list", "--state", "withheld")
    [line] = [line for line in said.splitlines() if HOSTILE in line]
    for part in ("DS_M", "202509", f"{HOSTILE} · F3", "=cmd|calc · FEVER", "default", "withheld", "E8022", "data set."):
        assert part in line


def test_show_tells_the_history_of_a_value_and_its_requests(outbox: CommandLine) -> None:
    execute(
        outbox.warehouse,
        "with b as (insert into outbox.batch (target, data_set_id, period, import_strategy, value_count, run_id,"
        " http_status, note) values (%s, 'DsMonthly01', '202509', 'CREATE_AND_UPDATE', 1, 'run-8', 409, 'E8122')"
        " returning batch_id) update outbox.value set state = 'sending', batch_id = b.batch_id, row_index = 0,"
        " run_id = 'run-8' from b where state = 'refused'",
        TARGET,
    )
    execute(
        outbox.warehouse, "update outbox.value set state = 'delivered', acknowledged = wanted where run_id = 'run-8'"
    )
    [value] = outbox.rows("show", "--org-unit", "F2", "--data-element", "VISITS")
    assert [(change["state_from"], change["state_to"], change["run_id"]) for change in value["history"]] == [
        (None, "refused", "run-7"),
        ("refused", "sending", "run-8"),
        ("sending", "delivered", "run-8"),
    ]
    assert [(batch["http_status"], batch["note"]) for batch in value["batches"]] == [(409, "E8122")]
    said = outbox.say("show", str(value["value_id"]))
    assert "sending → delivered" in said
    assert "- → -4" in said
    assert "Béni Dispensary · F2" in said


def test_show_asks_for_more_when_several_values_fit(outbox: CommandLine) -> None:
    result = outbox.run("show", "--org-unit", "F2", "--data-element", "FEVER")
    assert result.exit_code == 2
    assert "Several values fit" in result.stderr
    assert "Female" in result.stdout


def test_show_says_so_when_there_is_no_such_value(outbox: CommandLine) -> None:
    result = outbox.run("show", "999999")
    assert result.exit_code == 2
    assert "no such value" in result.stderr


def test_explain_puts_every_code_into_words(outbox: CommandLine) -> None:
    assert outbox.say("explain", "e8022").splitlines() == [
        "E8022: The org unit does not exist or is not assigned to the data set. (Before 2.43: E7636.)",
        "DHIS2 administrator: Assign the unit to the data set. Then nothing more: the next report tries again.",
    ]
    [said] = outbox.rows("explain", "write_lost")
    assert said.keys() == {"code", "sentence", "owner", "owner_label", "remedy"}
    assert all(said.values())


def test_explain_speaks_the_language_of_the_settings_or_the_one_asked_for(outbox: CommandLine) -> None:
    english, french = outbox.say("explain", "E8022"), outbox.say("explain", "E8022", "--language", "fr")
    assert english != french
    assert outbox.say("explain", "E8022", REPORT_LANGUAGE="fr") == french


@pytest.mark.parametrize(("given", "near"), [("E8021x", "E8021"), ("E802", "E8020"), ("write_los", "write_lost")])
def test_explain_names_the_codes_near_an_unknown_one(outbox: CommandLine, given: str, near: str) -> None:
    assert near in codes()
    result = outbox.run("explain", given)
    assert result.exit_code == 2
    assert near in result.stderr


def test_requeue_signs_for_what_it_puts_back_and_says_what_follows(outbox: CommandLine) -> None:
    said = outbox.say("requeue", "--data-set", "DS_M", "--period", "202509")
    assert said.startswith("1 refused values are pending again: the next report")
    assert "3 more are held back" in said
    [value] = outbox.rows("list", "--org-unit", "F2", "--state", "pending")
    [shown] = outbox.rows("show", str(value["value_id"]))
    assert shown["history"][-1]["run_id"].startswith("requeue by ")


def test_requeue_touches_only_the_code_it_is_given(outbox: CommandLine) -> None:
    assert outbox.rows("requeue", "--code", "E7642") == [{"requeued": 0, "completions": 0, "held_back": 0}]
    assert outbox.rows("requeue", "--code", "E7619") == [
        {"requeued": 1, "completions": 0, "held_back": 0}
    ]  # E8122 as 2.41 has it


COMPLETIONS = [  # period, org unit, state, code, reason
    ("202509", "OuFacility1", "registered", None, None),
    ("202509", "OuFacility2", "refused", "completion_refused", "Locked"),
    ("202510", "OuFacility1", "refused", "completion_refused", "Locked"),
    ("202510", "OuFacility3", "withheld", "E7605", "First visits"),
]


@pytest.fixture
def completed(outbox: CommandLine) -> CommandLine:
    with outbox.warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into outbox.completion (target, data_set_id, period, org_unit_id, attribute_option_combo_id, state,"
            f" code, reason, basis, run_id) values ('{TARGET}', 'DsMonthly01', %s, %s, 'HllvX50cXC0', %s, %s, %s, 'x', 'r')",
            COMPLETIONS,
        )
    return outbox


def test_requeue_asks_for_refused_completions_again(completed: CommandLine) -> None:
    said = completed.say("requeue", "--period", "202510")
    assert said.splitlines()[0].startswith("1 refused completions: the next report of their data set and period asks")
    assert "No refused value" not in said
    [row] = completed.rows("requeue", "--code", "completion_refused")
    assert (row["requeued"], row["completions"]) == (0, 2)
    with completed.warehouse.connect() as connection:
        due = connection.execute(
            "select period from outbox.unsettled_completion(%s, 'DS_M', '2025-10-01', false)", (TARGET,)
        ).fetchall()
        asked = connection.execute("select distinct basis, run_id from outbox.completion where state = 'refused'")
        [(basis, who)] = asked.fetchall()
    assert (due, basis) == ([("202510",)], "")
    assert who.startswith("requeue by ")


def test_completions_are_counted_with_the_reason_and_who_can_mend_it(completed: CommandLine) -> None:
    found = completed.rows("completions", "--period", "202510")
    assert [(row["state"], row["code"], row["reason"], row["unit_count"]) for row in found] == [
        ("refused", "completion_refused", "Locked", 1),
        ("withheld", "E7605", "First visits", 1),
    ]
    said = completed.say("completions")
    [line] = [line for line in said.splitlines() if "E7605" in line]
    assert "a compulsory field is empty. · First visits" in line
    assert "Data owner: Fill the compulsory fields" in line
    assert [row["state"] for row in completed.rows("completions", "--data-set", "DS_M", "--period", "202509")] == [
        "refused",
        "registered",
        "waiting",
    ]
    assert "No completion is kept" in completed.say("completions", "--data-set", "DS_W")


def test_a_deletion_that_dhis2_refused_is_called_one(outbox: CommandLine) -> None:
    execute(outbox.warehouse, "update outbox.value set wanted = null, acknowledged = '4' where state = 'refused'")
    [line] = [line for line in outbox.say("list", "--state", "refused").splitlines() if "E8122" in line]
    assert "(to be deleted)" in line


@pytest.mark.parametrize("language", ["fr", "pt"])
def test_what_the_commands_say_is_in_the_language_of_the_settings(outbox: CommandLine, language: str) -> None:
    value = str(outbox.rows("list", "--state", "refused")[0]["value_id"])
    asked = (["status"], ["list", "--limit", "2"], ["completions"], ["show", value], ["requeue"], ["requeue"])
    for words in asked:
        assert english_left(outbox.say(*words), language) != [], words
        assert english_left(outbox.say(*words, REPORT_LANGUAGE=language), language) == [], words
