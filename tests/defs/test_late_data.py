"""Late data from the FHIR server to the sensor: what a run touched is told, and only a moved total asks for a report."""

import json
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from opensrp_dhis2.cli import main
from opensrp_dhis2.definitions import defs
from opensrp_dhis2.defs.partitions import why_no_partition
from opensrp_dhis2.defs.relations import touched_metadata
from opensrp_dhis2.defs.sensors import MOST_REQUESTS, in_turn
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.settings import Settings
from tests.conftest import REPORT_TIMEZONE
from tests.defs.conftest import MONTHS, NOW, PARTITIONS, TODAY, ZONE, Chain, closed
from tests.support.sql import execute

PERIODS = [month[:7].replace("-", "") for month in MONTHS]
VISIT = """
select resource::text from raw.encounter e join member.household_visits m on m.resource_id = e.id
where m.event_on >= %s and m.event_on < %s and m.org_unit_id is not null order by e.id limit 1"""


def visit(chain: Chain, month: int) -> dict[str, Any]:
    """A counted home visit of one of the months."""
    [(text,)] = chain.query(VISIT, MONTHS[month], MONTHS[month + 1])
    found: dict[str, Any] = json.loads(text)
    return found


def extract(chain: Chain) -> dict[str, Any]:
    """Extract what has just arrived, and give what is told of the visits' totals."""
    result = chain.run("extract")
    assert result.success
    [_, totals] = result.asset_materializations_for_node("indicator__household_visits")
    return {name: value.value for name, value in totals.metadata.items()}


def put(chain: Chain, resource: dict[str, Any], ago: timedelta = timedelta(minutes=1)) -> None:
    chain.fhir.put(resource, stamp_ms=int((NOW - ago).timestamp() * 1000))


def test_a_visit_moved_to_another_month_reopens_both_and_one_that_says_the_same_none(chain: Chain) -> None:
    first = extract(chain)
    assert first["touched past periods"] > 3  # all is new
    for job, (begin, end) in PARTITIONS.items():
        assert chain.run(job, begin, end).success
    older = chain.late_requests()
    assert {job for job, _ in older} == PARTITIONS.keys()
    assert all(str(key) < PARTITIONS[str(job)][0] for job, key in older)
    chain.catch_up()  # the open periods that were never reported
    assert chain.late_requests() == []

    same = visit(chain, 0)
    put(chain, {**same, "language": "lg"}, ago=timedelta(minutes=3))  # the same would be no new version
    assert extract(chain)["touched past periods"] == 0
    assert chain.query("select count(*) from raw.superseded where id = %s", same["id"]) == [(1,)]
    assert chain.late_requests() == []

    put(chain, {**same, "period": {"start": f"{MONTHS[1]}T09:00:00+03:00"}}, ago=timedelta(minutes=2))
    told = extract(chain)
    assert (told["touched past periods"], told["touched periods"]) == (2, ", ".join(PERIODS[:2]))
    assert [key for job, key in chain.late_requests() if job == "report_chw_m"] == MONTHS[:2]

    shown = json.loads(CliRunner().invoke(main, ["views", "changed-periods", "--json"]).output)
    months = [
        (one["period"], one["is_changed"], one["differing_count"] > 0) for one in shown if one["data_set"] == "CHW_M"
    ]
    assert months == [(PERIODS[0], True, True), (PERIODS[1], True, True)]


def test_a_change_of_no_total_is_told_and_asks_for_nothing(chain: Chain) -> None:
    chain.run_all()
    chain.catch_up()
    seen = visit(chain, 1)
    period = seen["period"] | {"end": f"{MONTHS[1][:8]}28T10:00:00Z"}
    put(chain, {**seen, "period": period})
    told = extract(chain)
    assert (told["touched past periods"], told["touched periods"]) == (1, PERIODS[1])
    assert chain.late_requests() == []


def test_a_period_whose_run_is_under_way_is_not_asked_for_again(chain: Chain) -> None:
    extract(chain)
    months = closed("Monthly", 3, TODAY - timedelta(days=1))  # one that ended yesterday is left to its schedule
    wanted = [("report_chw_m", month) for month in months]
    assert set(wanted) <= set(chain.late_requests())
    range_tags = {"dagster/asset_partition_range_start": months[0], "dagster/asset_partition_range_end": months[1]}
    job = defs().resolve_job_def("report_chw_m")
    run = chain.instance.create_run_for_job(job, tags=range_tags, status=dg.DagsterRunStatus.STARTED)
    assert set(wanted) & set(chain.late_requests()) == {wanted[-1]}
    chain.instance.report_run_canceled(run)
    assert set(wanted) <= set(chain.late_requests())


def test_values_left_by_a_failed_run_are_asked_for_again(chain: Chain) -> None:
    chain.run_all()
    chain.catch_up()
    execute(chain.warehouse, "update outbox.value set state = 'pending' where period = %s", PERIODS[0])
    [request] = chain.tick().run_requests
    assert (request.partition_key, request.run_key) == (MONTHS[0], f"CHW_M:{PERIODS[0]}:{TODAY}")
    assert chain.run("report_chw_m", MONTHS[0]).success
    assert chain.late_requests() == []


def test_a_period_before_the_start_is_named_and_ends_no_tick(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default of REPORT_START moves at New Year: what the ledger knows from before must not stop the rest."""
    chain.run_all()
    chain.catch_up()
    monkeypatch.setenv("REPORT_START", MONTHS[1])

    def change(*periods: str) -> Any:
        execute(chain.warehouse, "update outbox.value set wanted = '999999' where period = any (%s)", list(periods))
        return chain.tick()

    said = change(PERIODS[0])
    assert not said.run_requests
    assert f"CHW_M {PERIODS[0]}" in said.skip_message
    assert f"before REPORT_START ({MONTHS[1]}): set REPORT_START={MONTHS[0]} or earlier" in said.skip_message
    assert [one.partition_key for one in change(PERIODS[1]).run_requests] == [MONTHS[1]]


def test_a_period_that_is_no_partition_says_why() -> None:
    settings = Settings(report_timezone=REPORT_TIMEZONE, report_start=date(2026, 1, 1))
    for period, kind, why in (
        ("202601", "Monthly", None),
        ("202512", "Monthly", "set REPORT_START=2025-12-01 or earlier"),
        ("209901", "Monthly", "reported after 2099-01-31"),
        ("202601", "Weekly", "data_sets.yaml says Weekly"),
        ("2026W1", "Weekly", "set REPORT_START=2025-12-29 or earlier"),
        ("2026W2", "Weekly", None),
    ):
        said = why_no_partition(parse_period(period), kind, settings)
        assert said is None if why is None else said and why in said


def test_what_was_asked_for_makes_way_for_what_was_not(chain: Chain) -> None:
    extract(chain)
    first = chain.tick()
    second = chain.tick(first.cursor)
    asked = [[one.run_key for one in tick.run_requests or []] for tick in (first, second)]
    assert len(asked[0]) == MOST_REQUESTS or not asked[1]
    assert {one.job_name for one in first.run_requests[:3]} == PARTITIONS.keys()
    assert not set(asked[0]) & set(asked[1])
    assert second.cursor.splitlines() == [*asked[0], *asked[1]]
    assert not chain.tick(second.cursor).run_requests
    yesterday = second.cursor.replace(TODAY.isoformat(), (TODAY - timedelta(1)).isoformat())
    assert chain.tick(yesterday).cursor == first.cursor


def test_a_job_with_many_periods_lets_the_others_have_their_turn() -> None:
    many, few = ([dg.RunRequest(run_key=f"{job}{n}") for n in range(count)] for job, count in (("a", 30), ("b", 2)))
    keys = [one.run_key for one in in_turn([many, [], few])]
    assert keys[:6] == ["a0", "b0", "a1", "b1", "a2", "a3"]
    assert len(keys) == 32


def test_outside_the_submission_hours_nothing_is_asked_for(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    extract(chain)
    hour = NOW.astimezone(ZONE).hour
    monkeypatch.setenv("DHIS2_SUBMISSION_HOURS", f"{(hour + 2) % 24}-{(hour + 3) % 24 or 24}")
    said = chain.tick(cursor="kept")
    assert not said.run_requests
    assert "DHIS2_SUBMISSION_HOURS are" in said.skip_message
    assert said.cursor == "kept"


def test_at_most_twelve_periods_are_listed_the_newest() -> None:
    weeks = [f"2026W{n}" for n in range(10, 30)]
    assert touched_metadata(weeks) == {"touched past periods": 20, "touched periods": ", ".join(weeks[-12:])}
    assert touched_metadata([]) == {"touched past periods": 0}
