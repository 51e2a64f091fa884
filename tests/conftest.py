"""Fixtures that every room shares: a real Postgres, a migrated warehouse, and the recorded material."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from sqlalchemy import make_url

from opensrp_dhis2.project import Project
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.embedded import start_embedded_postgres
from opensrp_dhis2.warehouse.migrations import migrate
from tests.support.clock import START
from tests.support.export_site import Site, export_site
from tests.support.fhir_proxy import Proxy, fhir_proxy
from tests.support.fhir_server import FhirServer, fhir_server

# CI tries the same examples every time; a developer's machine looks for new ones
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "developer")

ROOT = Path(__file__).parent.parent
REPORT_TIMEZONE = "Africa/Kampala"  # not UTC, so that a month cut in the wrong zone shows


@pytest.fixture(scope="session")
def shared() -> Path:
    """The recorded material beside the checkout; a test that needs it says so when it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the recorded material in ../shared, which is not here")
    return folder


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A real Postgres: TEST_DATABASE_URL if set, else the embedded one, started once."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    # not below pytest's own folder, which the server's account may not enter when root runs the tests
    folder = Path(tempfile.mkdtemp(prefix="opensrp-dhis2-test-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # before the server's own, so it runs after it
    url = start_embedded_postgres(folder / "postgres")
    for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
        _execute(url, f"alter system set {setting} = off")  # a test's databases outlive no crash of the server
    _execute(url, "select pg_reload_conf()")
    yield url


@pytest.fixture(scope="session")
def template_database(server_url: str) -> str:
    """A database with every migration applied, copied for each test that wants a warehouse."""
    name = f"template_{uuid4().hex[:8]}"
    _execute(server_url, f'create database "{name}"')
    warehouse = Warehouse(_url(server_url, name), report_timezone=REPORT_TIMEZONE)
    migrate(warehouse, Project().sql_dir)
    warehouse.close()
    return name


@pytest.fixture
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """The URL of a fresh migrated database, dropped afterwards."""
    name = f"test_{uuid4().hex[:8]}"
    _execute(server_url, f'create database "{name}" template "{template_database}"')
    yield _url(server_url, name)
    _execute(server_url, f'drop database "{name}" with (force)')


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """The URL of a fresh database without our schemas."""
    name = f"empty_{uuid4().hex[:8]}"
    _execute(server_url, f'create database "{name}"')
    yield _url(server_url, name)
    _execute(server_url, f'drop database "{name}" with (force)')


@pytest.fixture
def now() -> datetime:
    """The instant of the test; a file whose data have dates of their own gives another."""
    return START


@pytest.fixture
def warehouse(database_url: str, now: datetime) -> Iterator[Warehouse]:
    """A migrated warehouse of its own for each test, at its instant."""
    opened = Warehouse(database_url, report_timezone=REPORT_TIMEZONE, report_now=now)
    yield opened
    opened.close()


@pytest.fixture
def server() -> Iterator[FhirServer]:
    """An empty FHIR sandbox; a file that wants it filled gives another of the name."""
    with fhir_server() as running:
        yield running


@pytest.fixture
def proxy(server: FhirServer) -> Iterator[Proxy]:
    """A proxy before the FHIR sandbox, which may change what it says."""
    with fhir_proxy(server.url) as running:
        yield running


@pytest.fixture
def site() -> Iterator[Site]:
    """An empty FHIR sandbox that exports; a file for a gateway gives another of the name."""
    with export_site() as running:
        yield running


def _url(server_url: str, database: str) -> str:
    return make_url(server_url).set(database=database).render_as_string(hide_password=False)


def _execute(server_url: str, statement: str) -> None:
    plain = make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]
