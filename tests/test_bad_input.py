"""Bad input to a command: it ends with one message that names what, where and the remedy, and with an exit code."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from tests.support.overlay import GOOD_SQL, overlay

COMMAND = str(Path(sys.executable).parent / "opensrp-dhis2")


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"FHIR_PAGE_SIZE": "many"}, "FHIR_PAGE_SIZE"),
        ({"REPORT_TIMEZONE": "Nowhere/Land"}, "REPORT_TIMEZONE"),
        ({"PROJECT_DIR": "no-such-folder"}, "no-such-folder"),
        ({"DHIS2_BASE_URL": "http://dhis2.example.org:https"}, "DHIS2_BASE_URL"),
        ({"FHIR_BASE_URL": "https://reader:hunter2@fhir.example.org/fhir"}, "FHIR_BASE_URL"),
        ({"DHIS2_TOKEN_FILE": "no-such-file"}, "DHIS2_TOKEN_FILE"),
    ],
)
def test_a_wrong_setting_ends_a_command_with_its_name(environment: dict[str, str], said: str) -> None:
    done = command("views", "check", **environment)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+psycopg://u:hunter2@127.0.0.1:9/none", "127.0.0.1:9"),
        ("postgresql://u:hunter2@127.0.0.1:port/none", "not a database URL"),
        ("postgresql://u:hunter2@127.0.0.1:9/none?no_such_option=1", "no_such_option"),
        ("mysql://u:hunter2@127.0.0.1:9/none", "mysql"),
    ],
)
def test_no_postgres_ends_a_command_with_the_place_and_without_the_password(url: str, said: str) -> None:
    done = command("outbox", "status", WAREHOUSE_URL=url)
    assert done.returncode == 1
    assert said in done.stderr
    assert "WAREHOUSE_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


@pytest.fixture
def reader_url(empty_database_url: str) -> Iterator[str]:
    """The URL of a database in which the account may create nothing."""
    url, role = make_url(empty_database_url), f"reader_{uuid4().hex[:8]}"
    owner = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"create role {role} login password 'hunter2'")
        yield url.set(username=role, password="hunter2").render_as_string(hide_password=False)
        connection.execute(f"drop role {role}")


def test_a_postgres_account_without_rights_is_told_what_it_lacks(reader_url: str) -> None:
    done = command("outbox", "status", WAREHOUSE_URL=reader_url)
    assert done.returncode == 1
    assert "permission denied" in done.stderr
    assert "owner" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_an_embedded_postgres_that_cannot_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    done = command("outbox", "status", DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 1
    assert "DATA_DIR" in done.stderr
    assert "Traceback" not in done.stderr


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


def test_what_only_postgres_can_refuse_is_told_with_its_file_too(tmp_path: Path, empty_database_url: str) -> None:
    country = overlay(tmp_path / "country", sql=GOOD_SQL.replace("id as", "fhir.no_such(id) as"))
    done = command("views", "build", PROJECT_DIR=country, WAREHOUSE_URL=empty_database_url)
    assert done.returncode == 1
    assert "household_visits.sql:" in done.stderr
    assert "fhir.no_such" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_view_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    country = overlay(tmp_path / "country")
    file = tmp_path / "country" / "dbt_like_views" / "indicator" / "household_visits.sql"
    file.write_bytes(file.read_bytes().replace(b"Visits.", b"Visites m\xe9dicales."))
    done = command("views", "check", PROJECT_DIR=country)
    assert done.returncode == 1
    assert "household_visits.sql: byte" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [({"FHIR_AUTH": "kerberos"}, "FHIR_AUTH"), ({"PROJECT_DIR": "none"}, "PROJECT_DIR names none")],
)
def test_dagsters_own_command_says_what_is_wrong_at_loading(
    tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    done = subprocess.run(
        [str(Path(COMMAND).parent / "dagster"), "job", "execute", "-m", "opensrp_dhis2.definitions", "-j", "extract"],
        env={**os.environ, **environment}, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
