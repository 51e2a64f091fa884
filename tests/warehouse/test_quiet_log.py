"""The log of the embedded Postgres: whatever goes wrong, it holds nothing of a resource."""

import json
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from opensrp_dhis2.errors import WarehouseError
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.embedded import QUIET_LOG, start_embedded_postgres

MARK = "Odongtho0772000111"
RESOURCE = json.dumps({"resourceType": "Patient", "id": "p1", "name": [{"family": MARK}]})


@pytest.fixture
def log(server_url: str) -> Path:
    """The log of the server that all tests share; it is the embedded one."""
    with psycopg.connect(make_url(server_url).set(drivername="postgresql").render_as_string(False)) as connection:
        row = connection.execute("select current_setting('data_directory')").fetchone()
    path = Path(row[0] if row else "") / "log"
    if not path.is_file():
        pytest.skip("TEST_DATABASE_URL names a server of somebody else, whose log is not here")
    return path


@pytest.mark.parametrize(
    "statement",
    [
        f"select '{RESOURCE}'::jsonb ->> 'x' from nowhere",
        f"select ('{RESOURCE}'::jsonb ->> 'id')::integer, '{MARK}'::integer",
        f"select '{MARK}{{'::jsonb",
        f"do $$ begin raise warning '%', '{MARK}'; raise exception '%', '{MARK}'; end $$",
        f"create materialized view indicator.broken as select ('{MARK}' || count(*))::date as x from pg_class",
        f"merge into raw.load l using (select '{MARK}'::bigint as id) i on l.load_id = i.id when matched then delete",
    ],
)
def test_a_statement_that_fails_leaves_no_value_in_the_log(warehouse: Warehouse, log: Path, statement: str) -> None:
    with pytest.raises(WarehouseError), warehouse.connect() as connection:
        connection.execute(statement.encode())
    assert MARK not in log.read_text(errors="replace")


def copy_broken(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("create temporary table incoming (id text, resource jsonb)")
        with connection.cursor().copy("copy incoming from stdin") as copy:
            copy.write(f"p1\t{RESOURCE[:-1]}\n")


def test_a_row_that_does_not_copy_leaves_no_value_in_the_log(warehouse: Warehouse, log: Path) -> None:
    with pytest.raises(WarehouseError):
        copy_broken(warehouse)
    assert MARK not in log.read_text(errors="replace")


def test_a_parameter_of_a_statement_that_fails_is_not_in_the_log(warehouse: Warehouse, log: Path) -> None:
    with pytest.raises(WarehouseError), warehouse.connect() as connection:
        connection.execute("select %s::text::date", (MARK,))
    assert MARK not in log.read_text(errors="replace")


def test_a_server_that_an_older_version_set_up_is_told_and_its_log_is_emptied(log: Path, server_url: str) -> None:
    plain = make_url(server_url).set(drivername="postgresql").render_as_string(False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("alter system reset log_parameter_max_length")
        connection.execute("select pg_reload_conf()")
        while connection.execute("show log_parameter_max_length").fetchone() == ("0",):
            pass
    with log.open("a") as opened:
        opened.write(f"STATEMENT: {MARK}\n")
    start_embedded_postgres(log.parent)
    assert MARK not in log.read_text(errors="replace")
    with psycopg.connect(plain) as connection:
        settings = dict(connection.execute("select name, setting from pg_settings").fetchall())
        written = dict(connection.execute("select name, setting from pg_file_settings").fetchall())  # and soon applied
    assert QUIET_LOG.items() <= (settings | written).items()
