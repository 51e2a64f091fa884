"""Servers on loopback for what happens before a request is heard: TLS with any certificate, and an HTTP proxy."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import trustme

from tests.support.http_server import serving


@contextmanager
def tls_before(upstream: str, certificate: trustme.LeafCert) -> Iterator[int]:
    """Put TLS before a server on loopback, as a reverse proxy does, and give the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _pass_on(self, urlsplit(upstream).netloc, self.path)

        do_POST = do_PUT = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            return None

    class Server(ThreadingHTTPServer):
        def finish_request(self, request: Any, client_address: Any) -> None:
            # a client that does not believe the certificate hangs up
            with suppress(OSError), context.wrap_socket(request, server_side=True) as secured:
                self.RequestHandlerClass(secured, client_address, self)

    with serving(Server(("127.0.0.1", 0), Handler)) as port:
        yield port


@dataclass
class ForwardProxy:
    """An HTTP proxy; `answers` is the status that it gives instead of passing on, `names` where hosts really are."""

    names: dict[str, int] = field(default_factory=dict)
    status: int = 0
    credentials: str = ""
    port: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def refusal(self, authorization: str | None) -> int:
        return 407 if self.credentials and authorization != self.credentials else self.status


@contextmanager
def forward_proxy(names: dict[str, int], *, status: int = 0, credentials: str = "") -> Iterator[ForwardProxy]:
    """Run a proxy that knows hosts by name; all of them are ports of this machine."""
    proxy = ForwardProxy(names, status, credentials)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            host = self.path.rpartition(":")[0]
            if not self._may_pass(host):
                return
            with socket.create_connection(("127.0.0.1", proxy.names[host])) as far:
                self.send_response_only(200)
                self.end_headers()
                _join(self.connection, far)
            self.close_connection = True

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if self._may_pass(str(asked.hostname)):
                _pass_on(
                    self, f"127.0.0.1:{proxy.names[str(asked.hostname)]}", asked._replace(scheme="", netloc="").geturl()
                )

        do_POST = do_PUT = do_GET

        def _may_pass(self, host: str) -> bool:
            proxy.asked.append(host)
            refused = proxy.refusal(self.headers.get("Proxy-Authorization"))
            if refused:
                self.send_response_only(refused, "No")
                self.send_header("Content-Length", "0")
                self.end_headers()
            return not refused

        def log_message(self, format: str, *args: Any) -> None:
            return None

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as proxy.port:
        yield proxy


def _pass_on(handler: BaseHTTPRequestHandler, netloc: str, path: str) -> None:
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    dropped = {"host", "proxy-authorization", "proxy-connection"}
    headers = {name: value for name, value in handler.headers.items() if name.lower() not in dropped}
    with closing(HTTPConnection(netloc, timeout=30)) as connection:
        connection.request(handler.command, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    handler.send_response_only(answer.status)
    for name, value in answer.getheaders():
        if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def _join(near: socket.socket, far: socket.socket) -> None:
    """Carry bytes both ways until both sides are done."""
    back = Thread(target=_carry, args=(far, near), daemon=True)
    back.start()
    _carry(near, far)
    back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65_536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
