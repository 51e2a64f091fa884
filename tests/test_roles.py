"""Who may read what in the warehouse, tried by logging in as a member of the reporting role."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from opensrp_dhis2.project import Project
from opensrp_dhis2.views.build import build_all
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.views.relation import scalar
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.migrations import migrate
from tests.conftest import _execute, _url
from tests.support.sql import execute
from tests.views.conftest import load

PASSWORD = "reads-totals-only"
OPEN = ["indicator.value", "indicator.population", "indicator.left_out", "lookup.org_unit", "lookup.known_name",
        "outbox.value", "outbox.batch", "outbox.history", "outbox.status", "outbox.named_value"]  # fmt: skip
CLOSED = ["raw.patient", "raw.superseded", "raw.rejected", "staging.patient", "member.population", "warehouse.relation"]


def login(url: str, name: str) -> psycopg.Connection[tuple[object, ...]]:
    made = make_url(url).set(drivername="postgresql", username=name, password=PASSWORD)
    options = "-c opensrp.report_timezone=UTC"
    return psycopg.connect(made.render_as_string(hide_password=False), autocommit=True, options=options)


@pytest.fixture
def account(server_url: str) -> Iterator[str]:
    """A login without any right of its own; what it owns must be gone before the test ends."""
    name = f"reader_{uuid4().hex[:8]}"
    plain = make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as server:
        server.execute(sql.SQL("create role {} login password {}").format(sql.Identifier(name), sql.Literal(PASSWORD)))
        yield name
        server.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.fixture
def reader(account: str, warehouse: Warehouse) -> str:
    """A login that is a member of the reporting role."""
    execute(warehouse, sql.SQL("grant opensrp_reporting to {}").format(sql.Identifier(account)))
    return account


@pytest.fixture
def country(tmp_path: Path) -> Project:
    """Our views, with one of them in a country's own folder, so that a test can change it."""
    file = tmp_path / "country" / "dbt_like_views" / "staging" / "patient.sql"
    file.parent.mkdir(parents=True)
    shutil.copy(Project().view_files["staging/patient.sql"], file)
    return Project(country_dir=tmp_path / "country")


def build(warehouse: Warehouse, project: Project) -> None:
    with warehouse.connect() as connection:
        load(connection, "Patient", [{"id": "p1", "birthDate": "2024-01-02"}])
    build_all(warehouse, load_catalog(project))


def refused(connection: psycopg.Connection[tuple[object, ...]], relations: list[str]) -> list[str]:
    """Give the relations that a login may not read."""
    found = []
    for name in relations:
        try:
            connection.execute(sql.SQL("select * from {}").format(sql.Identifier(*name.split("."))))
        except psycopg.errors.InsufficientPrivilege:
            found.append(name)
    return found


def test_the_reporting_role_reads_totals_and_ledger_and_no_person(
    warehouse: Warehouse, database_url: str, reader: str, country: Project
) -> None:
    build(warehouse, country)
    with login(database_url, reader) as connection:
        assert refused(connection, OPEN + CLOSED) == CLOSED


def test_what_a_build_drops_and_makes_anew_stays_as_readable_as_it_was(
    warehouse: Warehouse, database_url: str, reader: str, country: Project
) -> None:
    build(warehouse, country)
    before = relation_ids(warehouse)
    patient = country.view_files["staging/patient.sql"]
    patient.write_text(f"{patient.read_text()}-- and a remark")
    build(warehouse, country)
    assert relation_ids(warehouse).isdisjoint(before)
    with login(database_url, reader) as connection:
        assert refused(connection, OPEN + CLOSED) == CLOSED


def relation_ids(warehouse: Warehouse) -> set[int]:
    names = ["indicator.value", "indicator.population", "indicator.left_out", "member.population", "staging.patient"]
    with warehouse.connect() as connection:
        return {connection.execute("select to_regclass(%s)::oid", (name,)).fetchone()[0] for name in names}  # type: ignore[index]


def test_the_reporting_role_changes_nothing(warehouse: Warehouse, database_url: str, reader: str) -> None:
    with login(database_url, reader) as connection:
        for statement in (
            b"delete from outbox.value",
            b"select warehouse.allow_reporting()",
            b"create table outbox.t ()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        assert connection.execute("select count(*) from outbox.value").fetchone() == (0,)


def test_a_login_that_is_no_member_reads_nothing(warehouse: Warehouse, database_url: str, account: str) -> None:
    with login(database_url, account) as connection:
        assert refused(connection, ["lookup.org_unit", "outbox.value", "raw.superseded"]) == [
            "lookup.org_unit", "outbox.value", "raw.superseded"
        ]  # fmt: skip


@pytest.fixture
def managed(server_url: str, account: str) -> Iterator[Warehouse]:
    """An empty database of an account that may not create roles."""
    name = f"managed_{uuid4().hex[:8]}"
    _execute(server_url, f'create database "{name}" owner "{account}"')
    owned = make_url(_url(server_url, name)).set(username=account, password=PASSWORD)
    warehouse = Warehouse(owned.render_as_string(hide_password=False))
    yield warehouse
    warehouse.close()
    _execute(server_url, f'drop database "{name}" with (force)')


@pytest.fixture
def role_name(server_url: str) -> Iterator[str]:
    """A role that the cluster does not have yet."""
    name = f"later_{uuid4().hex[:8]}"
    yield name
    _execute(server_url, f"drop role if exists {name}")


def test_an_account_that_may_not_create_roles_migrates_and_opens_what_it_owns_once_there_is_one(
    server_url: str, role_name: str, managed: Warehouse, tmp_path: Path
) -> None:
    folder, told = tmp_path / "sql", list[str]()
    shutil.copytree(Project().sql_dir, folder)
    roles = folder / "functions" / "warehouse_role.sql"
    roles.write_text(roles.read_text().replace("opensrp_reporting", role_name))
    with managed.connect() as connection:
        connection.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))
    assert "functions" in migrate(managed, folder)
    assert [notice for notice in told if f'"create role {role_name} nologin"' in notice]
    assert allow(managed) is False
    _execute(server_url, f"create role {role_name} nologin")
    assert allow(managed) is True
    with managed.connect() as connection:
        assert may_read(connection, role_name) == (True, False)


def test_a_second_database_of_the_cluster_finds_the_role_there(managed: Warehouse) -> None:
    migrate(managed, Project().sql_dir)
    with managed.connect() as connection:
        assert may_read(connection, "opensrp_reporting") == (True, False)


def allow(warehouse: Warehouse) -> bool:
    with warehouse.connect() as connection:
        return bool(scalar(connection, sql.SQL("select warehouse.allow_reporting()")))


def may_read(connection: Connection, role: str) -> tuple[bool, bool]:
    """Say whether a role may read the ledger, and whether it may read raw."""
    row = connection.execute(
        "select has_table_privilege(%(role)s, 'outbox.value', 'select'),"
        " has_schema_privilege(%(role)s, 'raw', 'usage') or has_schema_privilege(%(role)s, 'staging', 'usage')",
        {"role": role},
    ).fetchone()
    assert row is not None
    return row[0], row[1]
