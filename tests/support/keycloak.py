"""A FHIR sandbox that asks who reads it, and credentials for it whose clock a test moves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
from opensrp_dhis2_sandbox.fhir import auth as sandbox_auth
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.fhir import auth as fhir_auth
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.window import BEGINNING, Window
from opensrp_dhis2.http.oauth import TokenAuth

ALWAYS = Window(BEGINNING, datetime(2100, 1, 1, tzinfo=UTC))
SECRET = "hush-hush"


@dataclass
class Clock:
    """A clock that both sides share and a test moves."""

    now: datetime = field(default=datetime(2026, 11, 21, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@contextmanager
def guarded(auth: sandbox_auth.Auth, clock: Callable[[], datetime] | None = None) -> Iterator[str]:
    store = FhirStore()
    store.put({"resourceType": "Flag", "id": "a"})
    with running(create_app(store, auth=auth, clock=clock or Clock())) as url:
        yield url


def count(url: str, auth: httpx.Auth | None) -> int:
    with FhirClient(f"{url}/fhir", auth=auth) as client:
        return client.count("Flag", ALWAYS)


@contextmanager
def eight_flags(keycloak: sandbox_auth.ClientCredentials, clock: Clock) -> Iterator[str]:
    store = FhirStore(clock)
    for number in range(8):
        store.put({"resourceType": "Flag", "id": f"f{number}"})
    with running(create_app(store, auth=keycloak, clock=clock)) as url:
        yield url


def client_credentials(url: str, clock: Clock, secret: str = SECRET) -> TokenAuth:
    return fhir_auth.client_credentials(f"{url}{sandbox_auth.TOKEN_PATH}", "pipeline", secret, clock.seconds)


def patient(token_url: str) -> TokenAuth:
    """Make credentials that pause without waiting."""
    return fhir_auth.client_credentials(token_url, "pipeline", SECRET, sleep=lambda seconds: None)
