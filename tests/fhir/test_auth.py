"""Every way to prove who we are, against a server that asks for it, and what a token endpoint may answer."""

from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.fhir import auth as sandbox_auth

from opensrp_dhis2.errors import ConfigurationError, FhirAuthenticationError, FhirUnavailableError
from opensrp_dhis2.fhir import auth as fhir_auth
from opensrp_dhis2.fhir.auth import make_auth
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.http.deadline import DEADLINE
from tests.support.fhir_script import Answer, bundle, scripted
from tests.support.keycloak import ALWAYS, SECRET, Clock, client_credentials, count, guarded, patient


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


def test_a_wrong_client_secret_names_the_token_endpoint_and_not_the_secret() -> None:
    keycloak = sandbox_auth.ClientCredentials("pipeline", SECRET)
    with guarded(keycloak) as url, pytest.raises(FhirAuthenticationError) as caught:
        count(url, client_credentials(url, Clock(), "wrong-one"))
    assert sandbox_auth.TOKEN_PATH in str(caught.value)
    assert "FHIR_CLIENT_SECRET" in str(caught.value)
    assert "wrong-one" not in str(caught.value)


def test_a_token_endpoint_that_is_down_is_transient() -> None:
    with scripted(Answer(b"starting", 503)) as script, pytest.raises(FhirUnavailableError) as caught:
        count("http://127.0.0.1:9", patient(f"{script.url}/token"))
    assert "/token" in str(caught.value)
    assert caught.value.is_transient
    assert [asked.method for asked in script.asked] == ["POST"] * 4


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_token_endpoint_that_stumbles_is_asked_again_after_a_pause(status: int) -> None:
    token, pauses = Answer({"access_token": "t", "expires_in": 300}), list[float]()
    stumble = Answer(b"busy", status, {"Retry-After": "7"})
    with scripted(stumble, stumble, token, Answer(bundle(total=3))) as script:
        auth = fhir_auth.client_credentials(f"{script.url}/token", "pipeline", SECRET, sleep=pauses.append)
        assert count(script.url.removesuffix("/fhir"), auth) == 3
    assert pauses == [7.0, 7.0]


@pytest.mark.parametrize(
    "said",
    [
        Answer({"error": "invalid_client", "error_description": f"no {SECRET}"}, 400),
        Answer({"error": f"Bad! {SECRET}"}, 401),
        Answer(b"<html>login</html>", 200, {"Content-Type": "text/html"}),
        Answer(b"", 302, {"Location": f"/login?state={SECRET}"}),
        Answer({"access_token": ""}),
        Answer({"access_token": SECRET}, 400),
        Answer({"access_token": f"{SECRET}\nX-Evil: 1"}),
        Answer({"access_token": f"{SECRET}\u00e9"}),
        Answer({"expires_in": 300}),
        Answer(b"[" * 100_000),
    ],
)
def test_an_answer_without_a_usable_token_ends_it_and_is_not_quoted(said: Answer) -> None:
    with scripted(said) as script, pytest.raises(FhirAuthenticationError, match="FHIR_CLIENT_ID") as caught:
        count("http://127.0.0.1:9", patient(f"{script.url}/token"))
    assert SECRET not in str(caught.value)
    assert not caught.value.is_transient
    assert len(script.asked) == 1


def test_the_oauth_error_code_is_told() -> None:
    with scripted(Answer({"error": "invalid_client"}, 400)) as script, pytest.raises(FhirAuthenticationError) as caught:
        count("http://127.0.0.1:9", patient(f"{script.url}/token"))
    assert "HTTP 400, invalid_client" in str(caught.value)


def test_a_token_endpoint_that_cannot_be_reached_is_told_by_its_own_setting() -> None:
    with scripted(Answer(bundle())) as script, pytest.raises(FhirUnavailableError, match="FHIR_TOKEN_URL"):
        count(
            script.url.removesuffix("/fhir"),
            fhir_auth.client_credentials("http://127.0.0.1:9/token", "pipeline", SECRET),
        )


def test_the_request_for_a_token_has_time_outs_and_a_deadline_of_its_own() -> None:
    request = httpx.Request("GET", "http://h/fhir/Flag", extensions={"timeout": {"read": 5000.0}})
    asked = next(fhir_auth.client_credentials("http://h/token", "pipeline", SECRET).sync_auth_flow(request))
    assert asked.url.path == "/token"
    assert asked.extensions["timeout"] == dict.fromkeys(("connect", "read", "write", "pool"), 60.0)
    assert 0 < asked.extensions[DEADLINE].left <= 60


def test_every_token_is_judged_before_its_first_use() -> None:
    judged: list[str] = []

    def refuse_the_second(token: str) -> None:
        judged.append(token)
        if len(judged) == 2:
            raise FhirAuthenticationError("no")

    clock, keycloak = Clock(), sandbox_auth.ClientCredentials("pipeline", SECRET)
    with guarded(keycloak, clock) as url:
        auth = fhir_auth.client_credentials(
            f"{url}{sandbox_auth.TOKEN_PATH}", "pipeline", SECRET, clock.seconds, judge=refuse_the_second
        )
        assert [count(url, auth), count(url, auth), len(judged)] == [1, 1, 1]
        clock.move(3600)
        with pytest.raises(FhirAuthenticationError):
            count(url, auth)
        assert count(url, auth) == 1  # what was refused is not kept
    assert len(judged) == 3


def test_a_bearer_token_is_judged_too_and_must_fit_into_a_header() -> None:
    judged: list[str] = []
    with guarded(sandbox_auth.Bearer(SECRET)) as url:
        assert count(url, make_auth("bearer", token=SECRET, judge=judged.append)) == 1
    assert judged == [SECRET]
    with pytest.raises(ConfigurationError, match="FHIR_TOKEN") as caught:
        make_auth("bearer", token=f"{SECRET} x")
    assert SECRET not in str(caught.value)


def test_a_token_that_is_cut_off_keeps_nobody_else_waiting() -> None:
    token = Answer({"access_token": "t", "expires_in": 300})
    cut = Answer(token.body, sent_bytes=9)
    with scripted(cut, token, Answer(bundle(total=3))) as script:
        auth = patient(f"{script.url}/token")
        with FhirClient(script.url, auth=auth) as client:
            with pytest.raises(FhirUnavailableError, match="FHIR_TOKEN_URL") as caught:
                client.count("Flag", ALWAYS)
            assert client.count("Flag", ALWAYS) == 3
    assert caught.value.is_transient
