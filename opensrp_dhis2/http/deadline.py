"""A deadline for a whole request: each read and write of its connection gets what is left of the time, names included.

httpx's own time-outs are of one read or write, so that an answer of a byte each second never meets them.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import httpcore
import httpx

DEADLINE = "deadline"  # the extension of a request that carries its own
WRITE_BYTES = 16_384
CLOCK_SECONDS = 0.01  # by which a time-out of the system may come early
Resolve = Callable[[str, int], list[Any]]


@dataclass(frozen=True)
class Limits:
    """How long a request may take, attempts and pauses included, and how large its answer may be, unpacked.

    What comes at `slowest` bytes a second or faster is not cut off: each byte of an answer to a GET gives more time.
    """

    seconds: float = 600.0
    most_bytes: int = 256 << 20
    slowest: float = 10_000.0


class DeadlineError(httpx.ReadTimeout):
    """No whole answer within the time of the request; its text may be shown."""


class TooLargeError(httpx.RequestError):
    """The answer is larger, unpacked, than it may be; its text may be shown."""


class Deadline:
    """When a request must have ended, by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._ends_at = seconds, time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self._ends_at - time.monotonic()

    def extend(self, seconds: float) -> None:
        self._ends_at += seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold what this thread reads and writes to the deadline. Raises: DeadlineError."""
        token = _running.set(self)
        try:
            yield
        except httpx.TimeoutException as error:
            if self.left > CLOCK_SECONDS:
                raise
            raise DeadlineError(f"no whole answer within {self._seconds:g} s") from error
        finally:
            _running.reset(token)


_running: ContextVar[Deadline | None] = ContextVar("running", default=None)


class DeadlineTransport(httpx.BaseTransport):
    """Hold each request to its deadline, to the last byte of its answer, whoever reads that."""

    def __init__(self, inner: httpx.HTTPTransport, limits: Limits, *, resolve: Resolve = socket.getaddrinfo) -> None:
        pool = inner._pool  # httpx hands no network backend on to httpcore, where one is an argument
        pool._network_backend = _Backend(pool._network_backend, resolve)
        self._inner, self._limits = inner, limits

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline: Deadline = request.extensions.setdefault(DEADLINE, Deadline(self._limits.seconds))
        with deadline.running():
            response = self._inner.handle_request(request)
        gain = 1 / self._limits.slowest if request.method == "GET" else 0.0
        response.stream = _Body(response.stream, deadline, gain)
        return response

    def close(self) -> None:
        self._inner.close()


class _Body(httpx.SyncByteStream):
    """The bytes of an answer as they come, each with the time that is left."""

    def __init__(self, inner: Any, deadline: Deadline, gain: float) -> None:
        self._inner, self._deadline, self._gain = inner, deadline, gain

    def __iter__(self) -> Iterator[bytes]:
        chunks = iter(self._inner)
        while True:
            with self._deadline.running():
                chunk = next(chunks, None)
            if chunk is None:
                return
            self._deadline.extend(len(chunk) * self._gain)
            yield chunk

    def close(self) -> None:
        self._inner.close()


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait is cut to what is left."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for first in range(0, len(buffer), WRITE_BYTES):
            self._inner.write(buffer[first : first + WRITE_BYTES], _left(timeout, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def close(self) -> None:
        self._inner.close()


class _Backend(httpcore.NetworkBackend):
    """Makes such connections; a name is looked up beside, for the system's look-up knows no time-out."""

    def __init__(self, inner: httpcore.NetworkBackend, resolve: Resolve) -> None:
        self._inner, self._resolve = inner, resolve

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port, timeout):
            left = _left(timeout, httpcore.ConnectTimeout)
            try:
                return _Stream(self._inner.connect_tcp(address, port, left, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)

    def _addresses(self, host: str, port: int, timeout: float | None) -> list[str]:
        if _is_address(host):
            return [host]
        answer: SimpleQueue[list[Any] | OSError] = SimpleQueue()

        def look_up() -> None:
            try:
                answer.put(self._resolve(host, port))
            except OSError as error:
                answer.put(error)

        Thread(target=look_up, daemon=True, name="look up").start()
        try:
            found = answer.get(timeout=_left(timeout, httpcore.ConnectTimeout))
        except Empty:
            raise httpcore.ConnectTimeout(f"the name {host} was not looked up in time") from None
        if isinstance(found, OSError):
            try:
                raise found
            except OSError as error:  # so that it stays in the context, which httpcore keeps
                raise httpcore.ConnectError(str(error)) from error
        return list(dict.fromkeys(str(info[4][0]) for info in found))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _left(timeout: float | None, kind: type[Exception]) -> float | None:
    """Return the smaller of a time-out and what is left of the running request. Raises: `kind` when nothing is left."""
    deadline = _running.get()
    if deadline is None:
        return timeout
    left = deadline.left
    if left <= 0:
        raise kind("the request's time is over")
    return left if timeout is None else min(left, timeout)
