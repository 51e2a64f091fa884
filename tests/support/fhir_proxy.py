"""A proxy before a FHIR server that may change what it says, and shows a clock of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.http_server import serving

Query = dict[str, list[str]]
Change = Callable[[Query, dict[str, Any]], None]


def is_listing(query: Query) -> bool:
    """Tell a search for ids alone, or a page of one."""
    return "_elements" in query


def is_count(query: Query) -> bool:
    return "_summary" in query


def is_pages(query: Query) -> bool:
    """Tell a search for whole resources by window, or a page of one."""
    return not is_count(query) and not is_listing(query) and "_id" not in query


def drop(bundle: dict[str, Any], ids: set[str]) -> None:
    """Take resources out of a Bundle."""
    bundle["entry"] = [one for one in bundle.get("entry", ()) if one["resource"]["id"] not in ids]


@dataclass
class Proxy:
    """`change` may alter each Bundle before it is passed on; `clock_ahead` moves the Date that is shown."""

    upstream: httpx.Client  # one for all: a new one a request costs more than the request
    url: str = ""
    change: Change = lambda query, bundle: None
    clock_ahead: timedelta = timedelta()

    def answer(self, path: str) -> tuple[int, bytes, str]:
        answer = self.upstream.get(path, headers={"Cache-Control": "no-cache"})
        body: dict[str, Any] = answer.json()
        query = parse_qs(urlsplit(path).query)
        if body["resourceType"] == "Bundle":
            self.change(query, body)
        date = parsedate_to_datetime(answer.headers["Date"]) + self.clock_ahead
        return answer.status_code, httpx.Response(200, json=body).content, format_datetime(date, usegmt=True)


@contextmanager
def fhir_proxy(upstream: str) -> Iterator[Proxy]:
    """Run a proxy before the server at `upstream`, a URL that ends in /fhir."""
    client = httpx.Client(base_url=upstream.removesuffix("/fhir"), verify=False)
    proxy = Proxy(client)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body, date = proxy.answer(self.path)
            self.send_response_only(status)
            self.send_header("Date", date)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with client, serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        proxy.url = f"http://127.0.0.1:{port}/fhir"
        yield proxy
