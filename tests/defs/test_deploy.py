"""What is shipped for a deployment: Dagster's storage in Postgres, and two ways to name the code location that agree."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml
from opensrp_dhis2_sandbox.runs import QUIET
from sqlalchemy import make_url

from opensrp_dhis2.definitions import defs
from tests.conftest import ROOT
from tests.defs.conftest import Chain


def test_a_job_runs_with_its_records_in_postgres(
    chain: Chain, empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = make_url(empty_database_url).set(drivername="postgresql+psycopg2")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url.render_as_string(hide_password=False))
    (tmp_path / "dagster.yaml").write_text((ROOT / "deploy" / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        result = defs().resolve_job_def("extract").execute_in_process(instance=instance, run_config=QUIET)
        assert result.success
        assert instance.get_run_by_id(result.run_id).status is dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]
        assert instance.get_latest_materialization_event(dg.AssetKey(["raw", "patient"])) is not None
        assert "postgres" in type(instance.run_storage).__module__
        [limit] = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits  # type: ignore[union-attr]
        assert (limit["key"], limit["limit"]) == ("opensrp_dhis2/data_set", 1)
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled


def test_workspace_and_pyproject_name_the_same_code_location() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert workspace["module_name"] == project["code_location_target_module"]
    assert workspace["location_name"] == project["code_location_name"]


@pytest.mark.parametrize("arguments", [["-w", "workspace.yaml"], ["-m", "opensrp_dhis2.definitions"]])
def test_dagster_loads_the_code_location(arguments: list[str], tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "dagster"), "definitions", "validate", *arguments]
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
