"""Postgres away when a run begins, or during a check: the same patience as for any server, then one clear failure."""

from collections.abc import Iterator

import dagster as dg
import pytest

from opensrp_dhis2.defs.checks import asset_checks
from opensrp_dhis2.defs.lookup import lookup_key
from opensrp_dhis2.defs.resources import WarehouseResource, read_settings
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.catalog import load_catalog
from tests.support.postgres_gate import Gate, gate_before

STEP = "lookup__place_unmapped_places"


@pytest.fixture
def gate(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate before the warehouse of a run whose patience does not wait."""
    with gate_before(database_url) as opened:
        monkeypatch.setenv("WAREHOUSE_URL", opened.url)
        monkeypatch.setenv("RETRY_WAIT_SECONDS", "0")
        yield opened


def run(gate: Gate, refused_during_check: int = 0) -> tuple[dg.ExecuteInProcessResult, list[str], str]:
    """Run the check of unmapped places; give its result, the steps tried again, and everything that was logged."""

    @dg.asset(key=lookup_key("place"))
    def place() -> None:
        gate.shut(refused_during_check)

    checks = asset_checks(load_catalog(Project()), read_settings())
    [check] = [one for one in checks if lookup_key("place") in {each.asset_key for each in one.check_keys}]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [place, check], resources={"warehouse": WarehouseResource()}, instance=instance, raise_on_error=False
        )
        entries = instance.all_logs(result.run_id)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    retried = [str(one.step_key) for one in events if one.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY]
    return result, retried, " ".join(str(entry) for entry in entries)


@pytest.mark.parametrize("refused", [1, 3])
def test_a_run_waits_for_postgres_at_its_start(gate: Gate, refused: int) -> None:
    gate.shut(refused)
    result, retried, _ = run(gate)
    assert (result.success, gate.refused, retried) == (True, refused, [])


def test_a_postgres_that_stays_away_is_one_clear_failure(gate: Gate) -> None:
    gate.shut(100)
    result, _, logged = run(gate)
    assert not result.success
    assert gate.refused == 4  # as often as a step is tried
    assert "cannot be reached" in logged
    assert "Check WAREHOUSE_URL" in logged


@pytest.mark.parametrize("refused", [1, 3])
def test_a_check_is_tried_again_when_postgres_is_away(gate: Gate, refused: int) -> None:
    result, retried, _ = run(gate, refused)
    assert (result.success, gate.refused, retried) == (True, refused, [STEP] * refused)


def test_a_check_that_never_reaches_postgres_fails_with_the_remedy(gate: Gate) -> None:
    result, retried, logged = run(gate, 100)
    assert (result.success, retried) == (False, [STEP] * 3)
    assert "Check WAREHOUSE_URL" in logged


def test_a_wrong_database_is_not_waited_for(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", f"{gate.url}_not_there")
    monkeypatch.setenv("RETRY_WAIT_SECONDS", "3600")
    result, _, logged = run(gate)
    assert not result.success
    assert "no such database" in logged


def test_a_sensor_does_not_wait(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRY_WAIT_SECONDS", "3600")
    gate.shut(1)
    with pytest.raises(Exception, match="warehouse"), dg.build_resources({"warehouse": WarehouseResource()}) as opened:
        assert opened.warehouse
    assert gate.refused == 1
