"""Kills the run at a scripted event: the n-th HTTP request or the n-th message to Postgres since the last kill."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Literal

Channel = Literal["http", "sql"]
# sql: before the server hears the message, after. http: before DHIS2 hears, after it has stored, half of its answer, all.
STAGES: dict[Channel, tuple[str, ...]] = {"sql": ("before", "after"), "http": ("before", "stored", "half", "all")}


@dataclass(frozen=True)
class Kill:
    """Where the run dies: at the `event`-th message on a channel, counted from 1."""

    channel: Channel
    event: int
    stage: str


class Reaper:
    """Counts the events of the victim and tells when its time has come."""

    def __init__(self, kills: Sequence[Kill] = ()) -> None:
        self._lock = threading.Lock()
        self._kills, self._seen = list(kills), 0
        self._victim: int | None = None

    @property
    def left(self) -> int:
        return len(self._kills)

    def follow(self, start: Callable[[], BaseProcess]) -> BaseProcess:
        """Start the next victim; no event of it is counted before it is known."""
        with self._lock:
            process = start()
            self._victim = process.pid
        return process

    def stage(self, channel: Channel) -> str | None:
        """Count one event; give the stage of it at which to kill, if this is the one."""
        with self._lock:
            if not self._kills or self._kills[0].channel != channel:
                return None
            self._seen += 1
            if self._seen < self._kills[0].event:
                return None
            self._seen = 0
            return self._kills.pop(0).stage

    def kill(self) -> None:
        """Kill the victim as the kernel's out-of-memory killer would."""
        if self._victim is not None:
            with suppress(ProcessLookupError):  # it ended by itself just now
                os.kill(self._victim, signal.SIGKILL)
