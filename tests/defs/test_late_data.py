"""Late data from the FHIR server to the sensor: what a run touched is told, and only a moved total asks for a report."""

import json
from datetime import timedelta
from typing import Any

from click.testing import CliRunner

from opensrp_dhis2.cli import main
from opensrp_dhis2.defs.relations import touched_metadata
from tests.defs.conftest import MONTHS, NOW, PARTITIONS, Chain

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

    shown = json.loads(CliRunner().invoke(main, ["views", "touched", "--json"]).output)
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


def test_at_most_twelve_periods_are_listed_the_newest() -> None:
    weeks = [f"2026W{n}" for n in range(10, 30)]
    assert touched_metadata(weeks) == {"touched past periods": 20, "touched periods": ", ".join(weeks[-12:])}
    assert touched_metadata([]) == {"touched past periods": 0}
