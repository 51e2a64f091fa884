"""Every way to prove who we are, against a server that asks for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from opensrp_dhis2.errors import ConfigurationError, FhirAuthenticationError, FhirUnavailableError
from opensrp_dhis2.fhir.auth import ClientCredentialsAuth, make_auth
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.window import BEGINNING, Window
from opensrp_dhis2.sandbox.fhir import auth as sandbox_auth
from opensrp_dhis2.sandbox.fhir.app import create_app
from opensrp_dhis2.sandbox.fhir.store import FhirStore
from opensrp_dhis2.sandbox.server import running
from tests.fhir.script import Answer, bundle, scripted

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


def test_basic_and_bearer_open_the_server() -> None:
    with guarded(sandbox_auth.Basic("eve", SECRET)) as url:
        assert count(url, make_auth("basic", username="eve", password=SECRET)) == 1
    with guarded(sandbox_auth.Bearer(SECRET)) as url:
        assert count(url, make_auth("bearer", token=SECRET)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        make_auth("none"),
        make_auth("basic", username="eve", password="wrong-one"),
        make_auth("bearer", token="wrong-one"),
    ],
    ids=["none", "basic", "bearer"],
)
def test_a_wrong_password_is_one_clear_error_without_the_secret(wrong: httpx.Auth | None) -> None:
    with guarded(sandbox_auth.Basic("eve", SECRET)) as url, pytest.raises(FhirAuthenticationError) as caught:
        count(url, wrong)
    assert "FHIR_AUTH" in str(caught.value)
    assert "wrong-one" not in str(caught.value)
    assert not caught.value.is_transient


@pytest.mark.parametrize(
    ("kind", "given", "missing"),
    [
        ("basic", {"username": "eve"}, "FHIR_PASSWORD"),
        ("bearer", {}, "FHIR_TOKEN"),
        ("client_credentials", {"client_id": "x"}, "FHIR_TOKEN_URL, FHIR_CLIENT_SECRET"),
    ],
)
def test_a_missing_setting_is_named(kind: str, given: dict[str, Any], missing: str) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        make_auth(kind, **given)


def client_credentials(url: str, clock: Clock, secret: str = SECRET) -> ClientCredentialsAuth:
    return ClientCredentialsAuth(f"{url}{sandbox_auth.TOKEN_PATH}", "pipeline", secret, clock.seconds)


def test_one_token_serves_many_requests_and_is_renewed_before_it_expires() -> None:
    clock, keycloak = Clock(), sandbox_auth.ClientCredentials("pipeline", SECRET, token_seconds=300)
    with guarded(keycloak, clock) as url:
        auth = client_credentials(url, clock)
        assert [count(url, auth) for _ in range(3)] == [1, 1, 1]
        assert keycloak.token_count == 1
        clock.move(280)  # still good for 20 seconds, too few to trust
        assert count(url, auth) == 1
        assert keycloak.token_count == 2


def test_a_revoked_token_is_replaced_once_on_401() -> None:
    clock, keycloak = Clock(), sandbox_auth.ClientCredentials("pipeline", SECRET)
    with guarded(keycloak, clock) as url:
        auth = client_credentials(url, clock)
        count(url, auth)
        keycloak.revoke_all()
        assert count(url, auth) == 1
    assert keycloak.token_count == 2


def test_a_server_that_refuses_every_token_is_asked_only_twice() -> None:
    token = Answer({"access_token": "t", "expires_in": 300})
    with scripted(token, Answer(b"", 401), token, Answer(b"", 401)) as script, pytest.raises(FhirAuthenticationError):
        count(script.url.removesuffix("/fhir"), ClientCredentialsAuth(f"{script.url}/token", "pipeline", SECRET))
    assert [asked.method for asked in script.asked] == ["POST", "GET", "POST", "GET"]


def test_a_wrong_client_secret_names_the_token_endpoint_and_not_the_secret() -> None:
    keycloak = sandbox_auth.ClientCredentials("pipeline", SECRET)
    with guarded(keycloak) as url, pytest.raises(FhirAuthenticationError) as caught:
        count(url, client_credentials(url, Clock(), "wrong-one"))
    assert sandbox_auth.TOKEN_PATH in str(caught.value)
    assert "FHIR_CLIENT_SECRET" in str(caught.value)
    assert "wrong-one" not in str(caught.value)


def test_a_token_endpoint_that_is_down_is_transient() -> None:
    with scripted(Answer(b"starting", 503)) as script, pytest.raises(FhirUnavailableError) as caught:
        count("http://127.0.0.1:9", ClientCredentialsAuth(f"{script.url}/token", "pipeline", SECRET))
    assert "/token" in str(caught.value)
    assert caught.value.is_transient


def test_a_token_endpoint_that_cannot_be_reached_is_told_by_its_own_setting() -> None:
    with scripted(Answer(bundle())) as script, pytest.raises(FhirUnavailableError, match="FHIR_TOKEN_URL"):
        count(script.url.removesuffix("/fhir"), ClientCredentialsAuth("http://127.0.0.1:9/token", "pipeline", SECRET))


def test_the_request_for_a_token_has_the_clients_timeouts() -> None:
    request = httpx.Request("GET", "http://h/fhir/Flag", extensions={"timeout": {"read": 5.0}})
    asked = next(ClientCredentialsAuth("http://h/token", "pipeline", SECRET).auth_flow(request))
    assert asked.url.path == "/token"
    assert asked.extensions["timeout"] == {"read": 5.0}
