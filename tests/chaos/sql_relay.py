"""Stands between the run and Postgres, passes everything on, and lets the reaper strike between two messages."""

import socket
import threading
from contextlib import suppress

from sqlalchemy import make_url

from tests.chaos.reaper import Reaper


class SqlRelay:
    """A relay on loopback for one database; psycopg waits for each answer, so a chunk is one message."""

    def __init__(self, database_url: str, reaper: Reaper) -> None:
        self._upstream, self.reaper = make_url(database_url), reaper
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        plain = self._upstream.set(host="127.0.0.1", port=self._listener.getsockname()[1], query={"sslmode": "disable"})
        self.url = plain.render_as_string(hide_password=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server = self._connect()
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _connect(self) -> socket.socket:
        folder, port = self._upstream.query.get("host"), self._upstream.port or 5432
        if not folder:
            return socket.create_connection((self._upstream.host or "127.0.0.1", port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{folder}/.s.PGSQL.{port}")
        return server

    def _pass(self, source: socket.socket, target: socket.socket, is_question: bool) -> None:
        with source, suppress(OSError):  # the other side is gone
            while chunk := source.recv(1 << 16):
                stage = self.reaper.stage("sql") if is_question else None
                if stage == "before":
                    self.reaper.kill()
                    break
                target.sendall(chunk)
                if stage == "after":
                    self.reaper.kill()
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
