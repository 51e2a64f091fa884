"""Each way of signing in opens the sandbox, and nothing else does."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.auth import TOKEN_PATH, Auth, Basic, Bearer, ClientCredentials
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running

from .conftest import MovingClock

PATH = "/fhir/Patient?_count=1"


@contextmanager
def guarded(auth: Auth, clock: MovingClock) -> Iterator[httpx.Client]:
    with running(create_app(FhirStore(clock), auth=auth)) as url, httpx.Client(base_url=url, verify=False) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", [PATH, "/fhir?_getpages=x", "/fhir/_history", "/fhir/Patient/a"])
def test_without_credentials_nothing_is_read_but_metadata(path: str) -> None:
    with guarded(Basic("reader", "right"), MovingClock()) as client:
        assert client.get(path).status_code == 401
        assert client.get("/fhir/metadata").status_code == 200


def test_basic_wants_the_right_password() -> None:
    with guarded(Basic("reader", "right"), MovingClock()) as client:
        answers = [client.get(PATH, auth=("reader", password)).status_code for password in ("right", "wrong")]
    assert answers == [200, 401]


def test_bearer_wants_the_right_token() -> None:
    with guarded(Bearer("right"), MovingClock()) as client:
        answers = [client.get(PATH, headers=bearer(token)).status_code for token in ("right", "wrong")]
    assert answers == [200, 401]


def test_a_client_gets_tokens_that_end() -> None:
    clock, auth = MovingClock(), ClientCredentials("pipeline", "right", token_seconds=60)
    with guarded(auth, clock) as client:
        form = {"grant_type": "client_credentials"}
        assert client.post(TOKEN_PATH, data={**form, "client_id": "pipeline", "client_secret": "no"}).status_code == 401
        assert client.post(TOKEN_PATH, data={"grant_type": "password"}).status_code == 400
        given = client.post(TOKEN_PATH, data={**form, "client_id": "pipeline", "client_secret": "right"}).json()
        by_header = client.post(TOKEN_PATH, data=form, auth=("pipeline", "right")).json()
        tokens = [bearer(answer["access_token"]) for answer in (given, by_header)]
        assert [client.get(PATH, headers=token).status_code for token in tokens] == [200, 200]
        clock.move(60)
        assert client.get(PATH, headers=tokens[0]).status_code == 401
        assert (auth.token_count, given["expires_in"]) == (2, 60)
