"""A FHIR sandbox with `$export`, whose clock a test moves by waiting, and whose answers it may replace."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.auth import Auth
from opensrp_dhis2_sandbox.fhir.export import Exports
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running
from starlette.requests import Request
from starlette.responses import Response

from opensrp_dhis2.extract import Extraction, TypeResult, extract
from opensrp_dhis2.extract.export_file import FirstLoad
from opensrp_dhis2.extract.first_load import first_load
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.clock import START
from tests.support.sql import rows
from tests.support.watched import Watched

HOUR_MS = 3_600_000
HOW = Extraction(lag_seconds=600, overlap_seconds=3600, threads=2, validate_share=0)
KICK_OFF, POLL, FILE = "/fhir/$export", "/fhir/$export-poll-status", "/fhir/Binary/"


class Clock:
    """The time of the tests, ahead by all that was waited for."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def __call__(self) -> datetime:
        return START + timedelta(seconds=sum(self.waits))

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@dataclass
class Site:
    """A running sandbox; `watch` may answer a request that has to do with an export itself."""

    exports: Exports
    clock: Clock = field(default_factory=Clock)
    store: FhirStore = field(default_factory=FhirStore)
    url: str = ""
    watch: Callable[[Request], Response | None] = lambda request: None
    asked: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    began_ms: int = round(START.timestamp() * 1000)

    def put(self, count: int, *, of_type: str = "Flag", first: int = 0, hours_ago: float = 48, **more: Any) -> None:
        """Write resources f00000 and up."""
        stamp_ms = self.began_ms - round(hours_ago * HOUR_MS)
        for number in range(first, first + count):
            self.store.put({"resourceType": of_type, "id": f"f{number:05}", **more}, stamp_ms=stamp_ms + number)

    def truth(self, of_type: str = "Flag") -> dict[str, int]:
        """Give the version of each living resource."""
        return {version.id: version.version_id for version in self.store.current(of_type)}

    def count(self, path: str, method: str = "GET") -> int:
        """Count the requests of a path."""
        return sum(one.partition("?")[0] == f"{method} {path}" for one in self.asked)

    def see(self, request: Request) -> Response | None:
        """Note a request that has to do with an export, and let the test answer it."""
        if not request.url.path.startswith((KICK_OFF, FILE)):
            return None
        query = f"?{request.url.query}" if request.url.query else ""
        self.asked.append(f"{request.method} {request.url.path}{query}")
        self.tokens.append(request.headers.get("Authorization"))
        return self.watch(request)

    def file(self, request: Request) -> bytes:
        """Give the content of the file that is asked for."""
        found = self.exports.file(request.url.path.rpartition("/")[2], self.clock())
        assert found is not None
        return found[1]


@contextmanager
def export_site(
    *, job_seconds: float = 240.0, lines_per_file: int = 100, auth: Auth | None = None, **more: Any
) -> Iterator[Site]:
    """Run an empty sandbox that exports."""
    site = Site(Exports(job_seconds=job_seconds, lines_per_file=lines_per_file, **more))
    site.store = FhirStore(site.clock)
    with running(Watched(create_app(site.store, auth=auth, exports=site.exports), site.see)) as url:
        site.url = f"{url}/fhir"
        yield site


def load(site: Site, warehouse: Warehouse, *types: str) -> FirstLoad:
    with FhirClient(site.url, page_size=100) as client:
        return first_load(client, warehouse, types or ("Flag",), HOW, sleep=site.clock.sleep)


def search(site: Site, warehouse: Warehouse, of_type: str = "Flag") -> TypeResult:
    with FhirClient(site.url, page_size=100) as client:
        return extract(client, warehouse, of_type, HOW)


def jobs(warehouse: Warehouse) -> list[str]:
    return [one for (one,) in rows(warehouse, "select state from raw.export_job order by export_job_id")]


def on(path: str, number: int, answer: Response | None, act: Any = None) -> Any:
    """Answer the nth request of a path so, and from then on where number is negative; `act` is done before."""
    seen = 0

    def watch(request: Request) -> Response | None:
        nonlocal seen
        is_same = request.url.path == path or (path == FILE and request.url.path.startswith(FILE))
        seen += is_same
        if not is_same or (number > 0 and seen != number) or request.method != "GET":
            return None
        if act:
            act(request)
        return answer

    return watch
