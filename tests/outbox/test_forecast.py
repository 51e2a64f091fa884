"""The forecast of a slice: each value's outcome before the push, held to what the sandbox DHIS2 then does."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
from click.testing import CliRunner

from opensrp_dhis2.audit.forecast import Forecast, examples, forecast_period
from opensrp_dhis2.cli.forecast import outbox_forecast
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.errors import Dhis2UnavailableError, MetadataNotFoundError
from opensrp_dhis2.outbox.ledger import DataSetPeriod
from opensrp_dhis2.outbox.score import ForecastResult, Score, score
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_metadata import FACILITIES, READ_ONLY, metadata, named
from tests.support.dhis2_site import AWAY, NOW, REPORTED, SEPTEMBER, Dhis2Site, as_admin, site, totals_of
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals

NEW, CHANGED, KEPT, GONE, ZERO, THERE, OTHER, WITHHELD, CLOSED = FACILITIES[:9]


def of(here: Dhis2Site) -> DataSetPeriod:
    return DataSetPeriod(here.client.base_url, "DsMonthly01", "202509")


def plan(here: Dhis2Site, run_id: str) -> None:
    """Plan September's visits, zeros too."""
    execute(here.warehouse, "delete from lookup.target where measure = 'signed'")
    here.reporter(run_id, REPORTED).plan(SEPTEMBER)


def made(here: Dhis2Site, run_id: str = "run-2") -> Forecast:
    """Plan and forecast September."""
    plan(here, run_id)
    return forecast_period(here.warehouse, here.client, "DS_M", "202509", run_id=run_id)


def scored(here: Dhis2Site, run_id: str = "run-2") -> Score:
    with here.warehouse.connect() as connection:
        return score(connection, of(here), run_id)


def edit(here: Dhis2Site, unit: str, value: str | None) -> None:
    """Write a value, or delete it, as somebody else would who works in DHIS2."""
    cell = {"dataElement": "DeVisits001", "period": "202509", "orgUnit": unit, "value": value or "1"}
    combos = dict.fromkeys(("categoryOptionCombo", "attributeOptionCombo"), "HllvX50cXC0")
    body = {"dataSet": "DsMonthly01", "dataValues": [cell | combos]}
    params = {} if value else {"importStrategy": "DELETE"}
    assert here.client.post_data_value_set(json.dumps(body).encode(), params=params).status == 200


def outcomes(here: Dhis2Site) -> dict[str, tuple[str, str | None]]:
    found = rows(
        here.warehouse,
        "select v.org_unit_id, f.predicted_outcome, f.code from outbox.forecast f join outbox.value v using (value_id)",
    )
    return {unit: (outcome, code) for unit, outcome, code in found}


@pytest.fixture
def mixed(dhis2: Dhis2Site, set_totals: SetTotals) -> Dhis2Site:
    """September with a value of every outcome, one of them stopped only by what DHIS2 changed since it was read."""
    set_totals({("visits", unit): 5 for unit in (CHANGED, KEPT, GONE, OTHER)})
    assert dhis2.report().accepted == 4
    edit(dhis2, THERE, "8")
    edit(dhis2, OTHER, "55")
    execute(dhis2.warehouse, "insert into lookup.data_set_org_unit values ('DsMonthly01', 'OuFacility3')")
    totals = {NEW: 3, CHANGED: 6, KEPT: 5, ZERO: 0, THERE: 8, OTHER: 5, WITHHELD: -1, CLOSED: 9, "OuFacility3": 4}
    set_totals({("visits", unit): value for unit, value in totals.items()})
    plan(dhis2, "run-2")
    execute(
        dhis2.warehouse, f"update outbox.value set state = 'withheld', code = 'E8030' where org_unit_id = '{CLOSED}'"
    )
    return dhis2


def test_every_fate_is_predicted_and_the_push_bears_the_forecast_out(mixed: Dhis2Site) -> None:
    found = forecast_period(mixed.warehouse, mixed.client, "DS_M", "202509", run_id="run-2")
    is_new = mixed.client.system_info().version.import_engine == "atomic"
    assert outcomes(mixed) == {
        NEW: ("create", None),
        CHANGED: ("change", None),
        KEPT: ("same", None),
        THERE: ("same", None),
        OTHER: ("same", None),
        GONE: ("delete", None),
        ZERO: ("create" if is_new else "zero_dropped", None),
        WITHHELD: ("refused", "E8122"),
        "OuFacility3": ("refused", "E8022"),
        CLOSED: ("closed", "E8030"),
    }
    assert found.counts == {
        "create": 2 if is_new else 1, "change": 1, "same": 3, "delete": 1,
        "zero_dropped": 0 if is_new else 1, "refused": 2, "closed": 1,
    }  # fmt: skip
    assert (found.edited, found.drifted) == (1, 1)
    mixed.reporter("run-2").deliver(SEPTEMBER)
    result = scored(mixed)
    assert (result.right, result.wrong, result.open, result.share) == (10, 0, 0, 1.0)
    [row] = rows(
        mixed.warehouse,
        "select run_id, right_count, wrong_count, share, by_predicted_outcome -> 'refused' from outbox.forecast_score",
    )
    assert row == ("run-2", 10, 0, 1.0, {"right": 2, "wrong": 0})


def test_a_forecast_sends_nothing_and_changes_nothing(mixed: Dhis2Site) -> None:
    before = mixed.stored()
    with mixed.warehouse.connect() as connection:
        query = "select value_id, state, code, wanted, acknowledged, batch_id from outbox.value order by 1"
        ledger = connection.execute(query).fetchall()
        batches = connection.execute("select count(*) from outbox.batch").fetchone()
    mixed.strike({"kind": "status", "status": 503, "path": "/api"})  # would strike the first POST, wherever it went
    forecast_period(mixed.warehouse, mixed.client, "DS_M", "202509", run_id="run-2")
    assert mixed.client.send("POST", "dataValueSets", content=b"{}").status == 503
    assert mixed.stored() == before
    with mixed.warehouse.connect() as connection:
        assert connection.execute(query).fetchall() == ledger
        assert connection.execute("select count(*) from outbox.batch").fetchone() == batches


def test_metadata_that_changed_behind_our_back_shows_in_the_score(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    execute(
        dhis2.warehouse, "update lookup.data_element set value_type = 'INTEGER'"
    )  # DHIS2 takes no negative visits any more
    set_totals({("visits", NEW): 3, ("visits", WITHHELD): -1})
    assert made(dhis2).counts["create"] == 2
    dhis2.reporter("run-2").deliver(SEPTEMBER)
    result = scored(dhis2)
    assert (result.right, result.wrong, result.share) == (1, 1, 0.5)
    [miss] = result.misses
    assert (miss.predicted_outcome, miss.state, miss.value_count) == ("create", "refused", 1)
    assert miss.code == "E8122"
    assert f"| create | refused {miss.code} | 1 |" in result.markdown()


def test_a_closed_period_is_predicted_for_what_changed_and_for_nothing_else(
    warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    document, clock = metadata(), [datetime(2025, 10, 3, tzinfo=UTC)]
    document["stages"][1]["dataSets"][0]["expiryDays"] = 5
    with site(warehouse, version, document, clock=lambda: clock[0]) as dhis2:
        set_totals(totals_of([CHANGED, KEPT]))
        dhis2.report()
        clock[0] = NOW
        set_totals({("visits", CHANGED): 9, ("visits", KEPT): 2})
        found = made(dhis2)
        assert {outcome: count for outcome, count in found.counts.items() if count} == {"same": 1, "closed": 1}
        dhis2.reporter("run-2").deliver(SEPTEMBER)
        assert scored(dhis2).share == 1.0


def test_a_zero_over_a_deleted_value_is_stored_by_old_servers_too(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals(totals_of([KEPT]))
    with site(warehouse, "2.41") as here:
        here.report()
        edit(here, ZERO, "7")
        edit(here, ZERO, None)
        set_totals({("visits", KEPT): 1, ("visits", ZERO): 0})
        made(here)
        assert outcomes(here)[ZERO] == ("create", None)
        here.reporter("run-2").deliver(SEPTEMBER)
        assert here.stored()["DeVisits001", ZERO] == "0"
        assert scored(here).share == 1.0


def test_a_deletion_of_what_is_gone_already_is_the_same(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of([KEPT, GONE]))
    dhis2.report()
    edit(dhis2, GONE, None)
    set_totals(totals_of([KEPT]))
    found = made(dhis2)
    assert (found.counts["same"], found.counts["delete"], found.edited) == (2, 0, 1)
    dhis2.reporter("run-2").deliver(SEPTEMBER)
    assert scored(dhis2).share == 1.0


def test_units_outside_the_account_and_a_data_set_it_may_not_write_are_predicted(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    set_totals(totals_of([KEPT, NEW]))
    with site(warehouse, "2.43", metadata(sharing=READ_ONLY)) as here:
        execute(here.warehouse, "update lookup.data_set set can_write = true")
        found = made(here)
        assert [(s.predicted_outcome, s.code, s.value_count, s.drifted_count) for s in found.shares] == [
            ("refused", "E8010", 2, 2)
        ]
    with site(warehouse, "2.43") as here:
        execute(here.warehouse, f"update lookup.org_unit set path = '/{NEW}' where org_unit_id = '{NEW}'")
        made(here)
        codes = rows(
            warehouse,
            "select v.org_unit_id, f.predicted_outcome, f.code from outbox.forecast f join outbox.value v using (value_id)"
            " where f.target = %s",
            here.client.base_url,
        )
        assert set(codes) == {(NEW, "refused", "E8011"), (KEPT, "create", None)}


@pytest.mark.parametrize(
    ("period", "open_on", "authority", "codes"),
    [
        ("202509", date(2025, 10, 3), None, {"2.41": "E8030", "2.43": "E8030"}),
        ("202509", date(2025, 10, 3), "F_EDIT_EXPIRED", {"2.41": None, "2.43": None}),
        ("202612", date(2027, 1, 2), None, {"2.41": "E8030", "2.43": "E8030"}),
        ("202612", date(2027, 1, 2), "F_EDIT_EXPIRED", {"2.41": "E8030", "2.43": None}),
    ],
)
def test_a_period_that_dhis2_closed_since_the_plan_is_predicted(
    warehouse: Warehouse,
    set_totals: SetTotals,
    version: str,
    period: str,
    open_on: date,
    authority: str | None,
    codes: dict[str, str | None],
) -> None:
    document = metadata()
    document["stages"][1]["dataSets"][0]["expiryDays"] = 5
    document["stages"][1]["userRoles"][0]["authorities"] += [authority] if authority else []
    set_totals(totals_of([NEW, KEPT]))
    clock = [datetime.combine(open_on, time(), UTC)]
    with site(warehouse, version, document, clock=lambda: clock[0]) as here:
        door, exception = f"{here.url}/api/lockExceptions", {"ou": KEPT, "pe": "202509", "ds": "DsMonthly01"}
        if version == "2.41":  # 2.43 refuses a whole request for its period
            as_admin("POST", door, params=exception)
        execute(here.warehouse, "insert into lookup.period values ('Monthly', '202612', '2026-12-01', '2026-12-31')")
        execute(here.warehouse, f"update indicator.value set period = '{period}'")
        reporter = here.reporter("run-2")
        assert reporter.plan(parse_period(period)) == {"pending": 2}
        clock[0] = NOW
        found = forecast_period(warehouse, here.client, "DS_M", period, run_id="run-2")
        code = codes[version]
        is_reopened = code is None or (period, version) == ("202509", "2.41")
        reopened = ("create", None) if is_reopened else ("refused", code)
        assert outcomes(here) == {NEW: ("refused", code) if code else ("create", None), KEPT: reopened}
        assert found.drifted == found.counts["refused"]
        assert reporter.deliver(parse_period(period)).score.share == 1.0


@pytest.mark.parametrize("other", [None, "Monthly", "Quarterly"])
def test_an_element_that_left_the_data_set_is_predicted(
    warehouse: Warehouse, set_totals: SetTotals, other: str | None, version: str
) -> None:
    """The old engine blames the period where no data set of its type has the element: one word for both."""
    document = metadata()
    sets = document["stages"][1]["dataSets"]
    of_both, of_one = sets[0]["dataSetElements"], [{"dataElement": {"id": "DeSigned001"}}]
    if other:
        sets.append(sets[0] | named("DsOther0001") | {"periodType": other, "dataSetElements": of_both})
    sets[0]["dataSetElements"] = of_one
    set_totals(totals_of([NEW]))
    with site(warehouse, version, document) as here:
        execute(
            here.warehouse,
            "insert into lookup.data_set_element values ('DsMonthly01', 'DeVisits001', 'bjDvmb4bfuf');"
            " insert into lookup.data_element values ('DeVisits001', 'VISITS', 'Visits', 'INTEGER', 'SUM',"
            " false, 'bjDvmb4bfuf', null) on conflict do nothing",
        )
        made(here)
        assert outcomes(here) == {NEW: ("refused", "E8020")}
        here.reporter("run-2").deliver(SEPTEMBER)
        assert scored(here).share == 1.0


def test_what_an_interrupted_push_left_pending_is_scored_by_the_run_that_sends_it(
    dhis2: Dhis2Site, set_totals: SetTotals
) -> None:
    set_totals(totals_of(FACILITIES[:150]))
    made(dhis2)
    execute(
        dhis2.warehouse,
        "update outbox.value set state = 'delivered', acknowledged = wanted where org_unit_id < 'OuFacil0051'",
    )
    half = scored(dhis2)
    assert (half.right, half.wrong, half.open, half.share) == (50, 0, 100, 1.0)
    assert "100 not sent yet" in half.markdown()
    dhis2.reporter("run-3").deliver(SEPTEMBER)
    assert scored(dhis2, "run-3").right == 150
    assert scored(dhis2, "run-4").results == ()
    with dhis2.warehouse.connect() as connection:
        found = connection.execute("select run_id, right_count, open_count from outbox.forecast_score order by 1")
        assert found.fetchall() == [("run-2", 50, 100), ("run-3", 150, 0)]


def test_a_value_planned_anew_after_the_forecast_is_not_scored(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of([KEPT, GONE]))
    made(dhis2)
    set_totals(totals_of([KEPT]))
    dhis2.report("run-2")
    result = scored(dhis2)
    assert (result.right, result.wrong, result.open) == (1, 0, 0)


def test_without_a_forecast_there_is_no_score(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of([KEPT]))
    dhis2.report()
    result = scored(dhis2)
    assert (result.share, result.markdown()) == (None, "No forecast to score.")
    assert rows(dhis2.warehouse, "select count(*) from outbox.forecast_score") == [(0,)]


def test_a_second_forecast_replaces_the_first(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of([NEW]))
    made(dhis2, "run-1")
    dhis2.reporter("run-1").deliver(SEPTEMBER)
    made(dhis2, "run-2")
    assert rows(dhis2.warehouse, "select predicted_outcome, run_id from outbox.forecast") == [("same", "run-2")]


def test_a_forecast_that_cannot_read_dhis2_leaves_the_last_one_as_it_was(
    dhis2: Dhis2Site, set_totals: SetTotals
) -> None:
    set_totals(totals_of([NEW]))
    made(dhis2, "run-1")
    dhis2.strike(*AWAY)
    with pytest.raises(Dhis2UnavailableError):
        forecast_period(dhis2.warehouse, dhis2.client, "DS_M", "202509", run_id="run-2")
    assert rows(dhis2.warehouse, "select run_id from outbox.forecast") == [("run-1",)]


def test_a_data_set_that_was_never_read_is_named(dhis2: Dhis2Site) -> None:
    with pytest.raises(MetadataNotFoundError, match=r"data set NOWHERE is not in lookup\.data_set"):
        forecast_period(dhis2.warehouse, dhis2.client, "NOWHERE", "202509", run_id="run-1")


def test_examples_name_the_unit_and_the_element_of_what_is_stopped(mixed: Dhis2Site) -> None:
    found = forecast_period(mixed.warehouse, mixed.client, "DS_M", "202509", run_id="run-2")
    with mixed.warehouse.connect() as connection:
        shown = examples(connection, of(mixed), 1)
    assert {(one.predicted_outcome, one.org_unit, one.data_element, one.wanted) for one in shown} == {
        ("refused", WITHHELD, "DeVisits001", "-1"),
        ("refused", "OuFacility3", "DeVisits001", "4"),
        ("closed", CLOSED, "DeVisits001", "9"),
    }
    assert "| closed | 1 | E8030: " in found.markdown()


@pytest.fixture
def environment(mixed: Dhis2Site, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dhis2Site:
    """The command line's settings for the mixed slice: a country's folder that reports DS_M alone."""
    folder = tmp_path / "dbt_like_views"
    folder.mkdir()
    (folder / "data_sets.yaml").write_text("DS_M: {period_type: Monthly, zeros: reporting_units, open_periods: 36}\n")
    settings = {
        "PROJECT_DIR": str(tmp_path), "WAREHOUSE_URL": database_url, "REPORT_TIMEZONE": "Africa/Kampala",
        "DHIS2_BASE_URL": mixed.client.base_url, "DHIS2_USERNAME": "pusher", "DHIS2_PASSWORD": "secret",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return mixed


def test_the_command_plans_and_forecasts_and_sends_nothing(environment: Dhis2Site) -> None:
    before = environment.stored()
    environment.strike({"kind": "status", "status": 503, "path": "/api"})  # would strike the first POST
    result = CliRunner().invoke(outbox_forecast, ["DS_M", "202509", "--json"], catch_exceptions=False)
    said = json.loads(result.output)
    assert said["values"]["refused"] == 2
    assert said["values"]["closed"] == 0  # the command planned anew, and the period is open
    assert {one["code"] for one in said["stopped"]} >= {"E8122"}
    assert all(one["sentence"] and one["remedy"] for one in said["stopped"])
    assert {one["org_unit"] for one in said["examples"]} == {WITHHELD, "OuFacility3"}
    assert environment.client.send("POST", "dataValueSets", content=b"{}").status == 503
    assert environment.stored() == before


def test_the_command_shows_the_reasons_in_plain_words(environment: Dhis2Site) -> None:
    result = CliRunner().invoke(outbox_forecast, ["DS_M", "202509"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "nothing was sent" in result.output
    assert "E8122" in result.output


def test_a_score_is_never_rounded_up_to_all_of_them() -> None:
    right = ForecastResult("same", None, "delivered", None, True, 99_999)
    said = Score((right, replace(right, is_right=False, value_count=1))).markdown()
    assert said.startswith("99,999 of 100,000 values as forecast (99.9\u202f%)")
