"""The job register_routes: routes.yaml into DHIS2, safe to run again, with secrets that show nowhere."""

from pathlib import Path

import httpx
import pytest
from opensrp_dhis2_sandbox.runs import run_job

from tests.defs.conftest import Chain

ROUTES = """
routes:
- code: fhir_status
  name: Status of the FHIR server
  url: https://fhir.example.org/fhir/metadata
- code: fhir_private
  name: The FHIR server
  url: https://fhir.example.org/fhir/**
  auth: {type: http-basic, username: dhis2, password: {env: ROUTE_PASSWORD}}
"""


def test_routes_are_registered_once_and_their_secrets_show_nowhere(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    monkeypatch.setenv("PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ROUTE_PASSWORD", "canary-secret")
    assert chain.run("register_routes").success
    again = chain.run("register_routes")
    assert again.success
    response = httpx.get(
        f"{chain.dhis2_url}/api/routes", params={"fields": "code,url", "paging": "false"}, auth=("pipeline", "district")
    )
    assert sorted(route["code"] for route in response.json()["routes"]) == ["fhir_private", "fhir_status"]
    entries = [entry for run in chain.instance.get_runs() for entry in chain.instance.all_logs(run.run_id)]
    assert "route fhir_status: unchanged" in "".join(map(str, entries))
    assert "canary-secret" not in "".join(map(str, entries))


def test_without_a_routes_file_the_job_says_where_to_put_one(chain: Chain) -> None:
    run = run_job(chain.instance, "register_routes", on_step=lambda _: None)
    assert not run.is_success
    assert "routes.yaml" in run.failures[0]
