"""Runs a program of several processes until it ends or we are told to stop, and leaves none of them behind.

It knows signals and processes; which program it is does not matter.
"""

import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil

STOP_SECONDS = 10.0  # for what has heard us; what is killed then loses nothing


def take_signals() -> None:
    """Let SIGTERM and the end of the terminal stop us as Ctrl-C does, which a shell's background job ignores."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def run_until_stopped(command: Sequence[str], on_stop: Callable[[], None]) -> int:
    """Run a program in a session of its own and give its exit code.

    Raises: KeyboardInterrupt when we are stopped; by then every process of the program has ended.
    """
    with subprocess.Popen(command, start_new_session=True) as program:  # noqa: S603
        try:
            return program.wait()
        except KeyboardInterrupt:
            on_stop()
            _stop(program)
            raise


def _stop(program: "subprocess.Popen[bytes]") -> None:
    """Ask the program to end, then what it has left: Dagster lets a run go on without it, for a minute or for ever."""
    started = psutil.Process(program.pid).children(recursive=True) if program.poll() is None else []
    program.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        program.wait(STOP_SECONDS)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in started:
            with suppress(psutil.Error):
                end(process)
        _, started = psutil.wait_procs(started, timeout=STOP_SECONDS)
    program.kill()
