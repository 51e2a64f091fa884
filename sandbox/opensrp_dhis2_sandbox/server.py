"""Runs an ASGI application on loopback, for a `with` block or until stopped.

It knows uvicorn and sockets; what the application answers is none of its business.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2_sandbox.dated import Dated

HOST = "127.0.0.1"
STOP_SECONDS = 10.0


@contextmanager
def running(app: ASGIApp, port: int = 0, *, setting: str = "--port") -> Iterator[str]:
    """Serve the application from a thread and give its base URL; port 0 takes a free one.

    Args: `setting` is what a person sets to take another port.
    Raises ConfigurationError when the port is taken (terminal).
    """
    listener = _listen(port, setting)
    server = uvicorn.Server(_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
    thread.start()
    try:
        # The socket listens already: a client that connects before the loop runs only waits.
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)
        listener.close()


def serve_forever(app: ASGIApp, port: int) -> None:
    """Serve the application in this thread until it is interrupted."""
    with _listen(port, "--port") as listener:
        uvicorn.Server(_config(app)).run(sockets=[listener])


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        Dated(app, machine_clock),
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=2,
        date_header=False,
    )


def check_free(port: int, setting: str) -> None:
    """See that a port can be had before a program is started that needs it. Raises: as `running`."""
    _listen(port, setting).close()


def _listen(port: int, setting: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"port {port} on {HOST} cannot be had ({error.strerror}): stop what uses it, such as another make run or "
            f"make dev, or set {setting} to another port"
        ) from None
    return listener
