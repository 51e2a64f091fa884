"""A gate on loopback before a real Postgres: it can be shut for the next connections, and cuts those that stand."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import make_url


class Gate:
    """Forward each connection to Postgres, unless the gate is shut for it."""

    def __init__(self, url: str) -> None:
        self._behind = make_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._refused_left = 0
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        port = self._listener.getsockname()[1]
        through = self._behind.set(host="127.0.0.1", port=port, query={})
        return through.render_as_string(hide_password=False)

    def shut(self, times: int) -> None:
        """Cut every connection, and refuse the next ones so many times."""
        self._refused_left = times
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def close(self) -> None:
        self.shut(0)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refused_left:
                self._refused_left -= 1
                self.refused += 1
                client.close()
                continue
            server = self._postgres()
            self._sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()

    def _postgres(self) -> socket.socket:
        host = str(self._behind.query.get("host", self._behind.host or ""))
        if not host.startswith("/"):
            return socket.create_connection((host, self._behind.port or 5432))
        found = socket.socket(socket.AF_UNIX)
        found.connect(f"{host}/.s.PGSQL.{self._behind.port or self._behind.query.get('port', 5432)}")
        return found


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):  # wakes the other direction
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def gate_before(url: str) -> Iterator[Gate]:
    gate = Gate(url)
    try:
        yield gate
    finally:
        gate.close()
