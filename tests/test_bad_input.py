"""What goes wrong at the door: each ends with one message that names what, where and the remedy, and no state is lost."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from opensrp_dhis2.defs.runs import Run, run_job
from opensrp_dhis2.sandbox.server import running
from tests.defs.conftest import Chain, chain, district  # noqa: F401 - fixtures

COMMAND = str(Path(sys.executable).parent / "opensrp-dhis2")
VIEW = """/*---
description: Visits.
grain: one row per visit
data_set: CHW_M
measures:
  visits: {{data_element: {element}}}
---*/
{sql}
"""
GOOD_SQL = (
    "select null::text as org_unit_id, null::date as event_on, id as resource_id, 'Encounter' as resource_type\n"
    "from raw.encounter"
)


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def overlay(folder: Path, sql: str = GOOD_SQL, element: str = "HH_VISITS", extra: str = "") -> str:
    views = folder / "dbt_like_views" / "indicator"
    views.mkdir(parents=True)
    text = VIEW.format(element=element, sql=sql)
    (views / "household_visits.sql").write_text(text.replace("measures:", f"{extra}measures:"))
    return str(folder)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"FHIR_PAGE_SIZE": "many"}, "FHIR_PAGE_SIZE"),
        ({"REPORT_TIMEZONE": "Nowhere/Land"}, "REPORT_TIMEZONE"),
        ({"PROJECT_DIR": "no-such-folder"}, "no-such-folder"),
    ],
)
def test_a_wrong_setting_ends_a_command_with_its_name(environment: dict[str, str], said: str) -> None:
    done = command("views", "check", **environment)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_postgres_ends_a_command_with_the_place_and_without_the_password() -> None:
    done = command("outbox", "status", WAREHOUSE_URL="postgresql+psycopg://u:hunter2@127.0.0.1:9/none")
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "WAREHOUSE_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sql": "selec id from raw.encounter"}, "household_visits.sql"),
        ({"sql": GOOD_SQL.replace("raw.encounter", "staging.encounters")}, "did you mean staging.encounter"),
        ({"extra": "mesures: {}\n"}, "mesures"),
    ],
)
def test_a_broken_view_ends_a_command_with_file_and_line(tmp_path: Path, change: dict[str, str], said: str) -> None:
    done = command("views", "check", PROJECT_DIR=overlay(tmp_path / "country", **change))
    assert done.returncode == 1
    assert said in done.stderr
    assert "household_visits.sql:" in done.stderr
    assert "Traceback" not in done.stderr


def failures(chain: Chain, job: str) -> list[str]:  # noqa: F811
    run: Run = run_job(chain.instance, job, on_step=lambda _: None)
    assert not run.is_success
    return run.failures


@pytest.fixture(autouse=True)
def two_types_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_RESOURCE_TYPES", "Patient,Location")


@contextmanager
def answering(body: str, status: int = 200, content_type: str = "text/html") -> Iterator[str]:
    """Serve one answer to everything."""

    async def answer(_: Request) -> Response:
        return PlainTextResponse(body, status, media_type=content_type)

    with running(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])) as url:
        yield url


PAGE = '{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "a"'


@pytest.mark.parametrize(
    ("body", "status", "content_type", "said"),
    [
        ("<html>log in</html>", 200, "text/html", "no FHIR Bundle"),
        (PAGE, 200, "application/fhir+json", "no FHIR Bundle"),
        ("no", 401, "text/plain", "FHIR_AUTH"),
    ],
)
def test_a_fhir_server_that_talks_nonsense_fails_the_step_and_moves_no_watermark(
    chain: Chain,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    status: int,
    content_type: str,
    said: str,
) -> None:
    with answering(body, status, content_type) as url:
        monkeypatch.setenv("FHIR_BASE_URL", f"{url}/fhir")
        found = failures(chain, "extract")
    assert any(said in failure and url in failure for failure in found), found
    assert chain.query("select count(*) from raw.watermark") == [(0,)]


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("FHIR_BASE_URL", "http://127.0.0.1:9/fhir", "FHIR_BASE_URL"),
        ("DHIS2_BASE_URL", "http://127.0.0.1:9", "127.0.0.1:9"),
        ("DHIS2_PASSWORD", "wrong-secret", "password"),
        ("DHIS2_AUTH", "pat", "DHIS2_TOKEN"),
    ],
)
def test_a_server_that_is_not_there_or_does_not_let_us_in_is_told(
    chain: Chain,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(setting, value)
    found = " ".join(failures(chain, "extract"))
    assert said in found
    assert "wrong-secret" not in found
    assert chain.query("select count(*) from outbox.value") == [(0,)]


@pytest.mark.parametrize(("element", "said"), [("NO_SUCH", "NO_SUCH"), ("FEVER_TESTED", "FEVER_TESTED")])
def test_a_code_that_dhis2_does_not_know_fails_before_anything_is_sent(
    chain: Chain,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    element: str,
    said: str,
) -> None:
    monkeypatch.setenv("PROJECT_DIR", overlay(tmp_path / "country", element=element))
    [failure] = failures(chain, "extract")
    assert said in failure
    assert "household_visits.sql" in failure


def test_a_data_set_that_dhis2_does_not_have_is_told(
    chain: Chain,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "country"
    overlay(folder)
    (folder / "dbt_like_views" / "data_sets.yaml").write_text("NO_SET: {period_type: Monthly}\n")
    monkeypatch.setenv("PROJECT_DIR", str(folder))
    found = " ".join(failures(chain, "extract"))
    assert "NO_SET" in found
    assert "data_sets.yaml" in found
