"""The check `complete` and the job `resweep`, as Dagster runs them."""

from collections.abc import Iterator

import dagster as dg
import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.faults import Faults, Plan
from opensrp_dhis2_sandbox.server import running
from starlette.responses import JSONResponse

from opensrp_dhis2.defs.certificates import certificate_metadata, complete_checks, resweep_job, resweep_schedule
from opensrp_dhis2.defs.source import raw_key
from opensrp_dhis2.extract import Extraction, TypeResult, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.fhir_proxy import Proxy, drop, is_count, is_listing
from tests.support.fhir_server import FhirServer, fhir_server
from tests.support.sql import execute

HOUR_MS = 3_600_000
SETTINGS = Settings(fhir_resource_types=["Flag"], report_timezone="Africa/Kampala")


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with fhir_server() as started:
        started.put(40, stamp_ms=started.now_ms - 48 * HOUR_MS)
        yield started


def check(warehouse: Warehouse, client: FhirClient) -> dg.AssetCheckEvaluation:
    flags = dg.AssetsDefinition(specs=[dg.AssetSpec(raw_key("Flag"))])
    resources = {"warehouse": warehouse, "fhir": client}
    made = dg.Definitions(assets=[flags], asset_checks=complete_checks(SETTINGS), resources=resources)
    [found] = made.resolve_implicit_global_asset_job_def().execute_in_process().get_asset_check_evaluations()
    return found


def read(client: FhirClient, warehouse: Warehouse, resource_type: str = "Flag") -> TypeResult:
    return extract(client, warehouse, resource_type, Extraction(threads=1, validate_share=0))


def test_the_check_fails_with_the_count_of_what_the_source_lists_and_does_not_give(
    proxy: Proxy, warehouse: Warehouse
) -> None:
    proxy.change = lambda query, bundle: (
        drop(bundle, {"f00007", "f00009"}) if not is_listing(query) and not is_count(query) else None
    )
    with FhirClient(proxy.url) as client:
        metadata = certificate_metadata(read(client, warehouse))
        failed = check(warehouse, client)
        proxy.change = lambda query, bundle: None
        healed = certificate_metadata(read(client, warehouse))
        passed = check(warehouse, client)
    assert (metadata["incomplete"], metadata["missing"]) == (1, 2)
    assert metadata["missing ids"] == "opensrp-dhis2 extract status Flag"
    assert not failed.passed
    assert failed.severity is dg.AssetCheckSeverity.ERROR
    assert failed.metadata["missing"].value == 2
    assert "2 missing" in str(failed.metadata["incomplete_slices"].value)
    assert "f0000" not in str([metadata, failed])
    assert healed["incomplete"] == 0
    assert "missing ids" not in healed
    assert (passed.passed, passed.metadata["missing"].value) == (True, 0)


def test_a_slice_that_nobody_finished_fails_the_check(proxy: Proxy, warehouse: Warehouse) -> None:
    with FhirClient(proxy.url) as client:
        read(client, warehouse)
        execute(warehouse, "update raw.slice set state = 'planned'")
        assert not check(warehouse, client).passed


def test_the_weekly_job_resweeps_every_type_and_tells_of_it(
    server: FhirServer, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FHIR_RESOURCE_TYPES", "Flag")
    with FhirClient(server.url) as client, dg.DagsterInstance.ephemeral() as instance:
        read(client, warehouse)
        server.put(1, first=40, stamp_ms=server.now_ms - 47 * HOUR_MS)
        result = resweep_job.execute_in_process(instance=instance, resources={"warehouse": warehouse, "fhir": client})
        [seen] = instance.fetch_observations(dg.AssetKey(["raw", "flag"]), limit=5).records
    assert result.success
    assert seen.asset_observation is not None
    assert seen.asset_observation.metadata["inserted"].value == 1


def test_a_type_that_is_refused_fails_the_resweep_by_name_and_the_others_are_read(
    server: FhirServer, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FHIR_RESOURCE_TYPES", "Location,Flag")
    server.store.put({"resourceType": "Location", "id": "l1"}, stamp_ms=server.now_ms - 48 * HOUR_MS)
    with FhirClient(server.url) as client:
        for resource_type in ("Location", "Flag"):
            read(client, warehouse, resource_type)
        server.watch = lambda request, _: JSONResponse({}, 403) if "Location" in request.url.path else None
        result = resweep_job.execute_in_process(
            resources={"warehouse": warehouse, "fhir": client}, raise_on_error=False
        )
    [failed] = result.get_step_failure_events()
    assert "Location: FHIR server" in str(failed.step_failure_data.user_failure_data)
    [event] = result.get_asset_observation_events()
    assert event.asset_observation_data.asset_observation.asset_key.path == ["raw", "flag"]


def test_the_resweep_is_scheduled_in_the_countrys_zone() -> None:
    schedule = resweep_schedule(SETTINGS)
    assert (schedule.name, schedule.execution_timezone) == ("resweep_weekly", "Africa/Kampala")


def test_what_the_source_did_not_give_whole_is_a_warning_with_its_reason(
    server: FhirServer, warehouse: Warehouse
) -> None:
    faults = Faults()
    with running(create_app(server.store, faults=faults)) as root, FhirClient(f"{root}/fhir") as client:
        faults.begin(Plan(cannot_give=frozenset({"f00003"})))
        read(client, warehouse)
        warned = check(warehouse, client)
        faults.begin(Plan())
        read(client, warehouse)
        passed = check(warehouse, client)
    assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "the server cannot give it" in str(warned.metadata["rejected_for"].value)
    assert "f0000" not in str(warned)
    assert (passed.passed, passed.metadata["rejected"].value) == (True, 0)
