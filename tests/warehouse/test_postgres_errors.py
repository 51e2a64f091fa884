"""What Postgres refuses, and a Postgres that is away, in our words: the cause, the place, the remedy, and no row."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from opensrp_dhis2.errors import (
    ConfigurationError,
    MigrationError,
    OpenSrpDhis2Error,
    WarehouseError,
    WarehouseUnavailableError,
)
from opensrp_dhis2.project import Project
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.migrations import migrate
from tests.support.postgres_gate import gate_before
from tests.support.sql import rows

PERSON = "Ama Mensah"
RAISE = "do $$ begin raise exception 'refused' using errcode = '{}', detail = 'row: " + PERSON + "'; end $$"


def run(connection: Connection, *statements: LiteralString) -> None:
    for statement in statements:
        connection.execute(statement)


def within(warehouse: Warehouse, happening: Callable[[], None]) -> None:
    """Let something happen in a transaction that then goes on."""
    with warehouse.connect() as connection:
        happening()
        connection.execute("select 1")


@pytest.mark.parametrize(
    ("state", "is_transient", "said"),
    [
        ("53100", False, "no space left on its disk (disk full)"),
        ("53200", True, "out of memory"),
        ("53300", True, "max_connections"),
        ("25006", False, "read-only"),
        ("57014", True, "alter role ... set statement_timeout = 0"),
        ("57P01", True, "ended the session"),
        ("57P02", True, "ended the session"),
        ("57P03", True, "starting, stopping or recovering"),
        ("55P03", True, "pg_stat_activity"),
        ("40P01", True, "deadlock"),
        ("25P03", True, "idle_in_transaction_session_timeout"),
        ("58030", True, "its machine or disk"),
        ("42501", False, "owner of its database"),
        ("XX001", False, "damaged data"),
        ("P0001", False, "RaiseException"),
        ("22012", False, "SQLSTATE 22012"),
        ("ZZ999", False, "SQLSTATE ZZ999"),
    ],
)
def test_each_refusal_has_its_words_its_remedy_and_says_whether_to_try_again(
    warehouse: Warehouse, state: str, is_transient: bool, said: str
) -> None:
    with pytest.raises(WarehouseError) as caught, warehouse.connect() as connection:
        connection.execute(RAISE.format(state))
    assert said in str(caught.value)
    assert "Postgres at postgresql" in str(caught.value)
    assert caught.value.is_transient is is_transient
    assert PERSON not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "statement",
    [
        f"select '{PERSON}'::date",
        f"do $$ begin raise exception '{PERSON} is twice here'; end $$",
        f"insert into raw.watermark values ('s', 'Patient', now()), ('s', 'Patient', '{PERSON}'::text::timestamptz)",
        f"with a as (select '{PERSON}' as name) select (name || ', 1')::int from a",
    ],
)
def test_no_message_repeats_what_stands_in_a_row(warehouse: Warehouse, statement: str) -> None:
    with pytest.raises(WarehouseError) as caught, warehouse.connect() as connection:
        connection.execute(statement)
    assert "Ama" not in str(caught.value)
    assert "SQLSTATE" in str(caught.value)


def test_a_row_that_breaks_a_rule_is_told_by_table_and_rule(warehouse: Warehouse) -> None:
    with (
        pytest.raises(WarehouseError, match=r"UniqueViolation .*watermark, watermark_pkey"),
        warehouse.connect() as one,
    ):
        one.execute(f"insert into raw.watermark values ('{PERSON}', 'Patient', now()), ('{PERSON}', 'Patient', now())")


def test_a_wait_for_a_table_ends_and_names_what_to_look_at(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        assert connection.execute("show lock_timeout").fetchone() == ("30min",)
        connection.execute("lock table raw.watermark")
        with pytest.raises(WarehouseUnavailableError, match="pg_stat_activity"), warehouse.connect() as second:
            run(second, "set local lock_timeout = '50ms'", "select count(*) from raw.watermark")


def test_a_statement_timeout_of_the_account_is_told(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseUnavailableError, match="statement_timeout"), warehouse.connect() as connection:
        run(connection, "set local statement_timeout = '50ms'", "select pg_sleep(60)")


def test_the_limits_of_a_connection_are_set_and_the_url_may_say_others(database_url: str) -> None:
    url = make_url(database_url).update_query_dict({"keepalives_idle": "7"}).render_as_string(hide_password=False)
    warehouse = Warehouse(url)
    with warehouse.connect() as connection:
        told = connection.info.get_parameters()
    warehouse.close()
    asked = ("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "tcp_user_timeout")
    assert {name: told.get(name, "1") for name in asked} == {
        "connect_timeout": "15", "keepalives": "1", "keepalives_idle": "7", "keepalives_interval": "15",
        "tcp_user_timeout": "120000",
    }  # fmt: skip


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_postgres_that_accepts_and_never_answers_is_given_up(silent_port: int) -> None:
    warehouse = Warehouse(f"postgresql://user:hunter2@127.0.0.1:{silent_port}/db?connect_timeout=2")
    with pytest.raises(WarehouseUnavailableError, match="gave no answer in time") as caught, warehouse.connect():
        pass
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def guest_url(database_url: str) -> Iterator[str]:
    """The URL of an account that may have one connection."""
    name, url = f"guest_{uuid4().hex[:8]}", make_url(database_url)
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as owner:
        owner.execute(f'create role "{name}" login connection limit 1')  # type: ignore[call-overload]
        yield url.set(username=name).render_as_string(hide_password=False)
        owner.execute(f'drop role "{name}"')  # type: ignore[call-overload]


def test_no_connection_left_is_told_as_that_and_may_pass(guest_url: str) -> None:
    warehouse = Warehouse(guest_url)
    with (
        warehouse.connect(),
        pytest.raises(WarehouseUnavailableError, match=r"no connection left \(max_connections\)"),
        warehouse.connect(),
    ):
        pass
    warehouse.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [({"database": "nothing"}, "no such database"), ({"username": "nobody"}, "does not let the account in")],
)
def test_a_wrong_name_is_a_wrong_setting_and_not_tried_again(
    database_url: str, change: dict[str, str], said: str
) -> None:
    warehouse = Warehouse(make_url(database_url).set(**change).render_as_string(hide_password=False))
    with pytest.raises(ConfigurationError, match=said), warehouse.connect():
        pass


def test_a_database_that_is_not_utf8_is_refused_at_the_start(server_url: str) -> None:
    name, url = f"ascii_{uuid4().hex[:8]}", make_url(server_url)
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as owner:
        owner.execute(f"create database {name} encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'")  # type: ignore[call-overload]
        warehouse = Warehouse(url.set(database=name).render_as_string(hide_password=False))
        try:
            with pytest.raises(ConfigurationError, match=r"SQL_ASCII.*encoding 'UTF8' template template0"):
                migrate(warehouse, Project().sql_dir)
        finally:
            warehouse.close()
            owner.execute(f"drop database {name} with (force)")  # type: ignore[call-overload]


def test_a_server_started_anew_costs_no_transaction(database_url: str) -> None:
    with gate_before(database_url) as gate:
        warehouse = Warehouse(gate.url)
        with warehouse.connect() as connection, warehouse.connect():
            connection.execute("select 1")
        gate.shut(times=0)
        assert rows(warehouse, "select 1") == [(1,)]
        warehouse.close()


def test_a_server_that_goes_away_within_a_transaction_is_told(database_url: str) -> None:
    with gate_before(database_url) as gate:
        warehouse = Warehouse(gate.url)
        with pytest.raises(WarehouseUnavailableError, match="cannot be reached"):
            within(warehouse, lambda: gate.shut(times=1))
        with pytest.raises(OpenSrpDhis2Error) as caught, warehouse.connect():
            pass
        assert (caught.value.is_transient, gate.refused) == (True, 1)
        warehouse.close()


def test_a_file_of_sql_that_meets_a_failing_server_is_not_called_wrong(empty_database_url: str, tmp_path: Path) -> None:
    for folder in ("tables", "functions"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tables" / "0001_a.sql").write_text(RAISE.format("53100"))
    warehouse = Warehouse(empty_database_url)
    with pytest.raises(WarehouseError, match="disk full"):
        migrate(warehouse, tmp_path)
    (tmp_path / "tables" / "0001_a.sql").write_text(RAISE.format("23505"))
    with pytest.raises(MigrationError, match=r"0001_a\.sql does not apply: UniqueViolation") as caught:
        migrate(warehouse, tmp_path)
    assert PERSON not in str(caught.value)
    warehouse.close()
