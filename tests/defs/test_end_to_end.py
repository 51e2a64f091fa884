"""FHIR over HTTP in, totals over HTTP out, by Dagster's jobs: what arrives, what a second run does, what late data does."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import httpx
import pytest
from opensrp_dhis2_sandbox.runs import QUIET

from opensrp_dhis2.definitions import defs
from opensrp_dhis2.dhis2.periods import period_of
from tests.conftest import ROOT
from tests.defs.conftest import MONTHS, NOW, PARTITIONS, QUARTERS, Chain

IN_DHIS2 = """
select t.data_element_id, v.period, v.org_unit_id, t.category_option_combo_id, trim_scale(v.value)::text
from indicator.value v join lookup.target t using (indicator, measure, disaggregation, period_type)
join lookup.period p using (period_type, period)
where p.start_on between %s and %s and t.period_type = %s and v.value <> 0"""
TYPES = {"report_chw_m": "Monthly", "report_chw_w": "Weekly", "report_chw_q": "Quarterly"}


def test_dhis2_holds_exactly_the_indicators_and_a_second_run_sends_nothing(chain: Chain) -> None:
    chain.run_all()
    wanted = {row for job, span in PARTITIONS.items() for row in chain.query(IN_DHIS2, *span, TYPES[job])}
    there = {(row[0], row[1], row[2], row[3], row[5]) for row in chain.stored() if row[5] != "0"}
    assert there == wanted
    assert len(there) > 150
    first = chain.query("select sum(sent), sum(accepted), sum(refused) from outbox.delivery")[0]
    assert first[0] == first[1] == len(chain.stored())
    assert first[2] == 0

    batches = chain.query("select count(*) from outbox.batch")
    chain.run_all()
    assert chain.query("select count(*) from outbox.batch") == batches
    assert chain.query("select count(*) from outbox.value where state not in ('delivered', 'withdrawn')") == [(0,)]


def test_late_data_reopens_just_the_period_it_touches(chain: Chain) -> None:
    chain.run_all()
    chain.catch_up()
    [(encounter,)] = chain.query(
        "select resource::text from raw.encounter e join member.household_visits m on m.resource_id = e.id"
        " where m.event_on >= %s and m.event_on < %s and m.org_unit_id is not null limit 1",
        MONTHS[0],
        MONTHS[1],
    )
    arrived = (NOW - timedelta(minutes=1)).timestamp() * 1000
    chain.fhir.put({**json.loads(encounter), "id": "late"}, stamp_ms=int(arrived))
    assert chain.run("extract").success

    assert [key for job, key in chain.late_requests() if job == "report_chw_m"] == [MONTHS[0]]
    [(before,)] = chain.query("select max(batch_id) from outbox.batch")
    assert chain.run("report_chw_m", MONTHS[0]).success
    assert chain.query("select sum(value_count) from outbox.batch where batch_id > %s", before) == [(1,)]
    assert "report_chw_m" not in dict(chain.late_requests())


def test_every_check_runs_and_the_unmapped_places_are_told(chain: Chain) -> None:
    result = chain.run("extract")
    checks = {(c.asset_key.to_user_string(), c.check_name): c for c in result.get_asset_check_evaluations()}
    unmapped = checks["lookup/place", "unmapped_places"]
    assert not unmapped.passed
    assert "has a DHIS2 code" in str(list(unmapped.metadata))
    assert not checks["indicator/household_visits", "left_out"].passed
    assert checks["raw/patient", "fresh"].passed
    failed_tests = [asset for (asset, name), c in checks.items() if name == "data_tests" and not c.passed]
    assert failed_tests == []


def test_materialisations_carry_their_counts(chain: Chain) -> None:
    result = chain.run("extract")
    [patients] = result.asset_materializations_for_node("raw__patient")
    assert patients.metadata["read"].value == 600
    result = chain.run("report_chw_q", QUARTERS[0])
    [pushed] = result.asset_materializations_for_node("dhis2__chw_q")
    assert f"| CHW_Q | {period_of('Quarterly', date.fromisoformat(QUARTERS[0])).id} |" in str(
        pushed.metadata["verdicts"].value
    )
    assert pushed.metadata["refused"].value == 0


def test_a_partition_key_that_is_no_date_is_refused_by_dagster_itself(chain: Chain) -> None:
    with pytest.raises(ValueError, match="2026W31"):
        defs().resolve_job_def("report_chw_w").execute_in_process(
            instance=chain.instance, tags={"dagster/partition": "2026W31"}, run_config=QUIET
        )


@pytest.mark.parametrize("key", [f"{MONTHS[1][:8]}15", f"{MONTHS[1][:8]}28"])
def test_a_partition_key_that_is_not_ours_is_refused(chain: Chain, key: str) -> None:
    chain.run("extract")
    job = defs().resolve_job_def("report_chw_m")
    result = job.execute_in_process(
        instance=chain.instance, tags={"dagster/partition": key}, raise_on_error=False, run_config=QUIET
    )
    assert not result.success
    failures = [e.step_failure_data.user_failure_data for e in result.all_events if e.is_step_failure]
    assert "not the first day" in str(failures[0])
    assert chain.query("select count(*) from outbox.batch") == [(0,)]


def dagster(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}\n"
    )
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    command = [str(Path(sys.executable).parent / "dagster"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, timeout=180, check=False)


def test_the_command_line_reports_one_period_and_a_range(chain: Chain, tmp_path: Path) -> None:
    assert chain.run("extract").success
    periods = [month[:7].replace("-", "") for month in MONTHS]
    module = ["-m", "opensrp_dhis2.definitions"]
    one = dagster("job", "execute", *module, "-j", "report_chw_m", "--tags", json.dumps({"dagster/partition": MONTHS[0]}),
                  home=tmp_path / "home")  # fmt: skip
    assert one.returncode == 0, one.stderr[-2000:]
    assert chain.query("select distinct period from outbox.delivery") == [(periods[0],)]
    ranged = dagster("asset", "materialize", *module, "--select", "outbox/chw_m,dhis2/chw_m",
                     "--partition-range", f"{MONTHS[0]}...{MONTHS[2]}", home=tmp_path / "home")  # fmt: skip
    assert ranged.returncode == 0, ranged.stderr[-2000:]
    rows = chain.query("select period, count(distinct run_id) from outbox.delivery group by 1 order by 1")
    assert rows == [(periods[0], 2), (periods[1], 1), (periods[2], 1)]
    assert chain.query("select count(distinct run_id) from outbox.delivery") == [(2,)]


def test_of_a_range_that_fails_the_periods_that_were_sent_are_recorded(chain: Chain) -> None:
    assert chain.run("extract").success
    assert chain.run("report_chw_m", MONTHS[0]).success
    away = [{"kind": "status", "status": 503, "method": "GET", "path": "/api/dataValueSets"}] * 40
    faults = [{"kind": "hang_up_before"}, *away]
    httpx.post(f"{chain.dhis2_url}/sandbox/faults", json=faults, auth=("admin", "district")).raise_for_status()
    result = chain.run("report_chw_m", MONTHS[0], MONTHS[2])
    assert not result.success
    records = chain.instance.fetch_materializations(dg.AssetKey(["dhis2", "chw_m"]), limit=10).records
    of_this_run = [r for r in records if r.asset_materialization.metadata.get("run")]
    assert {r.partition_key for r in of_this_run} == {MONTHS[0]}
    assert chain.query("select count(*) from outbox.batch where state = 'sending'") == [(1,)]


def test_a_schedule_asks_for_the_last_closed_period(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPORT_NOW")
    definitions = defs()
    context = dg.build_schedule_context(
        instance=chain.instance, scheduled_execution_time=datetime(2026, 11, 5, 2, tzinfo=UTC),
        repository_def=definitions.get_repository_def(),
    )  # fmt: skip
    [request] = definitions.resolve_schedule_def("report_chw_m_daily").evaluate_tick(context).run_requests or []
    assert (request.partition_key, request.run_key) == ("2026-10-01", "CHW_M:2026-10-01:2026-11-05")
