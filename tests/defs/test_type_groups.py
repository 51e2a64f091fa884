"""Resource types in two groups, nightly and weekly: which job reads what, and what is off unless somebody asks for it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from opensrp_dhis2.cli import main
from opensrp_dhis2.definitions import defs
from opensrp_dhis2.defs.source import raw_key
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.project import Project
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.warehouse.load import table_name
from tests.defs.conftest import NOW, Chain
from tests.views.conftest import DATA_SETS, INDICATOR, STAGING

OFF = ["Task", "CarePlan", "Binary", "Composition"]
NIGHTLY = "Patient,Encounter,Observation,Condition,Immunization,Location,Group,QuestionnaireResponse"
TASKS = f"{STAGING}select id, fhir.local_date(resource ->> 'authoredOn') as authored_on from raw.task"
DONE = f"""{INDICATOR}select 'OuFacility1' as org_unit_id, authored_on as event_on, 'Task' as resource_type,
  id as resource_id
from staging.task"""


def keys(job: str) -> set[str]:
    """Name the assets that a job makes."""
    nodes = defs().resolve_job_def(job).asset_layer.asset_graph.materializable_asset_keys
    return {key.to_user_string() for key in nodes}


@pytest.fixture
def tasks_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A country's folder that counts Tasks."""
    for name, text in {"data_sets.yaml": DATA_SETS, "staging/task.sql": TASKS, "indicator/tasks.sql": DONE}.items():
        file = tmp_path / "country" / "dbt_like_views" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setenv("PROJECT_DIR", str(tmp_path / "country"))


def put(chain: Chain, *resources: dict[str, Any]) -> None:
    """Put resources a minute ago: the server's clock, by which windows end, tells whole seconds."""
    for resource in resources:
        chain.fhir.put(resource, stamp_ms=int((NOW - timedelta(minutes=1)).timestamp() * 1000))


def test_what_is_heavy_and_unread_is_off_and_nothing_turns_it_on() -> None:
    settings, read = Settings(), load_catalog(Project()).resource_types
    assert settings.fhir_weekly_types == []
    assert not set(OFF) & {*settings.all_resource_types, *read}
    assert sorted(settings.all_resource_types) == read


def test_without_weekly_types_there_is_no_weekly_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FHIR_WEEKLY_TYPES", raising=False)
    assert not defs().get_repository_def().has_job("extract_weekly")
    assert {f"raw/{name}" for name in ("patient", "questionnaire_response")} <= keys("extract")


def test_the_two_jobs_read_each_their_own_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_RESOURCE_TYPES", NIGHTLY.replace(",Immunization", ""))
    monkeypatch.setenv("FHIR_WEEKLY_TYPES", "Immunization, Task")
    nightly, weekly = keys("extract"), keys("extract_weekly")
    assert {key for key in weekly if key.startswith("raw/")} == {"raw/immunization", "raw/task"}
    assert weekly - {"raw/task"} == {
        "raw/immunization", "staging/immunization", "member/child_doses", "indicator/child_doses"
    }  # fmt: skip
    assert not nightly & {"raw/immunization", "raw/task"}
    assert {"raw/patient", "staging/immunization", "indicator/child_doses"} <= nightly
    schedule = defs().resolve_schedule_def("extract_weekly")
    assert (schedule.job_name, schedule.cron_schedule) == ("extract_weekly", "0 20 * * 6")


def test_a_type_in_both_groups_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="FHIR_WEEKLY_TYPES and FHIR_RESOURCE_TYPES both name Group, Patient"):
        Settings.from_mapping({"FHIR_WEEKLY_TYPES": "Task,Patient,Group"})


def test_the_types_that_are_off_are_read_when_they_are_named(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_RESOURCE_TYPES", ",".join(OFF))
    put(chain, *({"resourceType": name, "id": f"{name}-1"} for name in OFF))
    selection = [raw_key(name) for name in OFF]
    result = (
        defs()
        .resolve_job_def("extract")
        .execute_in_process(instance=chain.instance, asset_selection=selection, raise_on_error=False)
    )
    assert result.success
    for name in OFF:
        assert chain.query(f"select id from raw.{table_name(name)}") == [(f"{name}-1",)]


def test_a_weekly_extract_brings_its_types_into_the_totals_and_the_night_leaves_them(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, tasks_counted: None
) -> None:
    monkeypatch.setenv("FHIR_RESOURCE_TYPES", "Location")
    monkeypatch.setenv("FHIR_WEEKLY_TYPES", "Task")
    put(chain, {"resourceType": "Task", "id": "t1", "authoredOn": "2025-03-04"})
    chain.query("insert into lookup.period values ('Monthly', '202503', '2025-03-01', '2025-03-31') returning 1")
    assert chain.run("extract_weekly").success
    total = "select period, value::integer from indicator.value where indicator = 'tasks'"
    assert chain.query(total) == [("202503", 1)]
    put(chain, {"resourceType": "Task", "id": "t2", "authoredOn": "2025-03-05"})
    night = defs().resolve_job_def("extract")
    assert {"staging/task"} <= keys("extract")
    names = ["raw/location", "staging/task", "member/tasks", "indicator/tasks"]
    selection = [dg.AssetKey(name.split("/")) for name in names]
    assert night.execute_in_process(instance=chain.instance, asset_selection=selection).success
    assert chain.query(total) == [("202503", 1)]
    assert chain.run("extract_weekly").success
    assert chain.query(total) == [("202503", 2)]


def test_views_check_names_a_type_that_nobody_extracts(monkeypatch: pytest.MonkeyPatch, tasks_counted: None) -> None:
    told = "Task: a view reads it, but neither FHIR_RESOURCE_TYPES nor FHIR_WEEKLY_TYPES names it"
    assert told in " ".join(CliRunner().invoke(main, ["views", "check"]).output.split())
    monkeypatch.setenv("FHIR_WEEKLY_TYPES", "Task")
    assert "Task" not in CliRunner().invoke(main, ["views", "check"]).output
