"""The weekly sweep in Dagster: counts as metadata, and one type's refusal stops no other."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from starlette.responses import JSONResponse

from opensrp_dhis2.defs.deletes import delete_metadata, sweep_job, sweep_schedule
from opensrp_dhis2.defs.failures import dagster_failures, raise_together
from opensrp_dhis2.errors import (
    ConfigurationError,
    FhirUnavailableError,
    OpenSrpDhis2Error,
    WarehouseUnavailableError,
)
from opensrp_dhis2.extract.deletes import find_deletes
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.fhir_server import FhirServer, fhir_server

SETTINGS = Settings.from_mapping({"FHIR_RESOURCE_TYPES": "Flag,Location", "REPORT_TIMEZONE": "Africa/Kampala"})


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with fhir_server() as running:
        running.put(5, stamp_ms=running.now_ms)
        running.store.put({"resourceType": "Location", "id": "l1"}, stamp_ms=running.now_ms)
        yield running


def run(server: FhirServer, warehouse: Warehouse, **config: Any) -> dg.ExecuteInProcessResult:
    with FhirClient(server.url) as client:
        return sweep_job(SETTINGS).execute_in_process(
            resources={"warehouse": warehouse, "fhir": client},
            run_config={"ops": {"sweep_each_type": {"config": config}}},
            raise_on_error=False,
        )


def observed(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    events = [event.asset_observation_data.asset_observation for event in result.get_asset_observation_events()]
    return {one.asset_key.path[-1]: {name: value.value for name, value in one.metadata.items()} for one in events}


def test_the_weekly_sweep_shows_its_counts_for_each_type(server: FhirServer, warehouse: Warehouse) -> None:
    assert observed(run(server, warehouse))["flag"]["missing or old, loaded"] == 5
    server.store.expunge("Flag", "f00002")
    second = observed(run(server, warehouse))
    assert {name: (one["ids at the source"], one["deleted"]) for name, one in second.items()} == {
        "flag": (4, 1), "location": (1, 0),
    }  # fmt: skip


def test_a_type_that_shows_nothing_fails_the_run_and_the_others_are_swept(
    server: FhirServer, warehouse: Warehouse
) -> None:
    run(server, warehouse)
    server.watch = lambda request, _: (
        JSONResponse({"resourceType": "Bundle"}) if request.url.path.startswith("/fhir/Flag") else None
    )
    refused = run(server, warehouse)
    assert not refused.success
    assert list(observed(refused)) == ["location"]
    accepted = run(server, warehouse, resource_types=["Flag"], max_share=1.0)
    assert accepted.success
    assert observed(accepted)["flag"]["deleted"] == 5


def test_a_type_that_is_refused_fails_the_run_by_name_and_the_others_are_swept(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.watch = lambda request, _: (
        JSONResponse({}, 403) if request.url.path.startswith("/fhir/Flag") else None
    )  # fmt: skip
    result = run(server, warehouse)
    assert list(observed(result)) == ["location"]
    [failed] = result.get_step_failure_events()
    assert "Flag: FHIR server" in str(failed.step_failure_data.user_failure_data)


@pytest.mark.parametrize("other", [WarehouseUnavailableError("away"), ConfigurationError("wrong")])
def test_several_errors_are_retried_only_when_all_of_them_are_transient(other: OpenSrpDhis2Error) -> None:
    failed = {"Flag": FhirUnavailableError("silent"), "Location": other}
    kind = dg.RetryRequested if other.is_transient else dg.Failure
    with pytest.raises(kind) as ended, dagster_failures(0):
        raise_together(failed)
    told = str(ended.value.__cause__) if other.is_transient else str(ended.value.description)
    assert told == f"Flag: silent\nLocation: {other}"


def test_a_search_by_ids_says_why_in_the_metadata(server: FhirServer, warehouse: Warehouse) -> None:
    with FhirClient(server.url) as client:
        first, second = [delete_metadata(find_deletes(client, warehouse, "Flag", lag_seconds=0)) for _ in range(2)]
    assert "no deletions were looked for before" in first["deletions by"]
    assert second == {"deleted": 0}


def test_the_sweep_is_weekly_in_the_countrys_zone() -> None:
    schedule = sweep_schedule(sweep_job(SETTINGS), SETTINGS)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * 0", "Africa/Kampala")
