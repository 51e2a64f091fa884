"""A FHIR sandbox whose clock a test moves by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running
from starlette.applications import Starlette

FRESH = {"Cache-Control": "no-cache"}


@dataclass
class MovingClock:
    """A clock that stands still until it is moved."""

    now: datetime = datetime(2026, 11, 21, 2, 20, 0, 123_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class FhirSandbox:
    """A running server, its store, its clock, and a client that reads pages to the end."""

    clock: MovingClock
    store: FhirStore
    client: httpx.Client
    app: Starlette

    def put(self, prefix: str, count: int, *, first: int = 0, text: str = "v1") -> None:
        """Write resources `prefix-0000` and up in one transaction: one stamp."""
        for number in range(first, first + count):
            self.store.put({"resourceType": "Flag", "id": f"{prefix}-{number:04d}", "code": {"text": text}})

    def get(self, path: str, **headers: str) -> Any:
        """Give the JSON of a successful answer."""
        answer = self.client.get(path, headers=headers or FRESH)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def following(self, bundle: Any) -> str | None:
        """Give the path of the next page."""
        found = [link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"]
        return found[0].removeprefix(str(self.client.base_url)) if found else None

    def pages(self, path: str) -> Iterator[Any]:
        """Give every page; what a test does between two of them happens while paging."""
        following: str | None = path
        while following:
            bundle = self.get(following)
            yield bundle
            following = self.following(bundle)

    def total(self, path: str) -> int:
        """Count what a search selects."""
        count: int = self.get(f"{path}&_summary=count")["total"]
        return count


def ids(*bundles: Any) -> list[str]:
    """List the ids of the resources in Bundles."""
    return [entry["resource"]["id"] for bundle in bundles for entry in bundle.get("entry", ())]


@pytest.fixture
def fhir() -> Iterator[FhirSandbox]:
    """An empty FHIR sandbox at 2026-11-21T02:20:00.123Z."""
    clock = MovingClock()
    store = FhirStore(clock)
    app = create_app(store)
    with running(app) as url, httpx.Client(base_url=url, verify=False) as client:
        yield FhirSandbox(clock, store, client, app)
