"""A pooler that lends each transaction another session is found out at start; one in session mode serves."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from opensrp_dhis2.errors import ConfigurationError, OpenSrpDhis2Error
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.pooler import refuse_transaction_pooling

PROGRAM = shutil.which("pgbouncer")
needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="needs pgbouncer, which is not installed")


@contextmanager
def pooler(database_url: str, folder: Path, mode: str, more: str = "") -> Iterator[str]:
    """Run PgBouncer before a database; give the URL through it."""
    url = make_url(database_url)
    host = url.query.get("host") or url.host
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.chmod(0o777)
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nserver_login_retry = 1\nauth_type = any\npool_mode = {mode}\n{more}\n"
        f"[databases]\n{url.database} = host={host} port={url.port or 5432} dbname={url.database} user={url.username}\n"
    )
    owner = pwd.getpwuid(os.stat(str(host)).st_uid).pw_name if str(host).startswith("/") else "nobody"
    account = ["-u", owner] if os.geteuid() == 0 else []  # it does not run as root
    with subprocess.Popen([str(PROGRAM), "-q", *account, str(settings)], stderr=subprocess.PIPE) as process:
        try:
            for _ in range(200):
                with socket.socket() as door:
                    if door.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"postgresql+psycopg://{url.username}@127.0.0.1:{port}/{url.database}"
        finally:
            process.terminate()


def test_postgres_itself_serves(warehouse: Warehouse) -> None:
    refuse_transaction_pooling(warehouse)


@needs_pgbouncer
@pytest.mark.parametrize(
    ("mode", "more", "said"),
    [
        ("transaction", "ignore_startup_parameters = options", "drops the startup parameter"),
        ("session", "ignore_startup_parameters = options", "drops the startup parameter"),
        ("session", "", "options"),
    ],
)
def test_a_pooler_that_loses_the_zone_is_refused(
    database_url: str, tmp_path: Path, mode: str, more: str, said: str
) -> None:
    with pooler(database_url, tmp_path, mode, more) as url:
        opened = Warehouse(url, report_timezone="Africa/Kampala")
        with pytest.raises(OpenSrpDhis2Error, match=said):
            refuse_transaction_pooling(opened)
        opened.close()


@needs_pgbouncer
@pytest.mark.parametrize(("mode", "is_refused"), [("transaction", True), ("session", False)])
def test_a_pooler_in_transaction_mode_is_refused_and_one_in_session_mode_serves(
    database_url: str, tmp_path: Path, mode: str, is_refused: bool
) -> None:
    """The zone is said in Postgres: a database's own setting comes through where options are dropped."""
    direct = Warehouse(database_url, report_timezone="Africa/Kampala")
    name = make_url(database_url).database
    with direct.connect() as connection:
        connection.execute(f"alter database \"{name}\" set opensrp.report_timezone = 'Africa/Kampala'")  # type: ignore[call-overload]
    direct.close()
    with pooler(database_url, tmp_path, mode, "ignore_startup_parameters = options") as url:
        opened = Warehouse(url, report_timezone="Africa/Kampala")
        if is_refused:
            with pytest.raises(ConfigurationError, match="pool_mode = session"):
                refuse_transaction_pooling(opened)
        else:
            refuse_transaction_pooling(opened)
        opened.close()
