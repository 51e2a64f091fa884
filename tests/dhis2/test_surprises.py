"""The recordings that are not one reply: races, throughput, periods through time."""

import ast
import json
from datetime import date
from functools import cache
from typing import Any

import pytest

from opensrp_dhis2.dhis2.imports.interpret import interpret
from opensrp_dhis2.dhis2.models import Reply, ServerVersion, Verdict
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.outbox.data_entry_window import DataEntryWindow
from opensrp_dhis2.settings import Settings
from tests.support import dhis2_recordings as recordings
from tests.support.dhis2_recordings import VERSIONS, exchange, load
from tests.support.import_reply import a_reply, a_value

Json = dict[str, Any]
DONE = {Verdict.STORED, Verdict.UNCHANGED, Verdict.DELETED}


@cache
def metadata() -> Json:
    found: Json = json.loads((recordings.FOLDER / "metadata.json").read_text())
    return found


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
def test_in_a_race_no_row_is_called_stored_that_is_not_and_none_is_refused_for_good(version: str, name: str) -> None:
    is_same_keys = name.startswith("38-")
    for replies, size, stood in raced(version, name):
        sent = [a_value(number) for number in range(size)]
        read = [interpret(reply, sent, ServerVersion.parse(version)) for reply in replies]
        called = [sum(row.verdict in DONE for row in one.rows) for one in read]
        assert (max(called) if is_same_keys else sum(called)) == stood
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
    read = interpret(recorded.reply, recorded.sent, recorded.version)
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
    verdict = interpret(recorded.reply, recorded.sent, recorded.version).rows[0].verdict
    assert window.is_open(period) is (verdict is Verdict.STORED)
    assert verdict in (Verdict.STORED, Verdict.REFUSED)


def test_37_throughput_a_request_is_of_the_size_at_which_2_43_is_fastest() -> None:
    recording = load("2.43.1", "37-throughput")
    created = [one for one in recording["results"] if one["label"] == "create"]
    speed = {one["values"]: one["values"] / one["seconds"] for one in created}
    assert max(speed, key=lambda values: speed[values]) == Settings.model_fields["dhis2_batch_size"].default
    assert speed[1000] > 4 * speed[50_000]
