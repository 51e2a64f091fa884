"""What a token endpoint's refusal means: Keycloak's words, old and new, and those of DHIS2's own servers."""

import re

import httpx
import pytest

from opensrp_dhis2.http.oauth import NoToken, refusal_remedy
from tests.support.dhis2_recordings import load


def told(status: int, body: object, grant: str = "client_credentials", prefix: str = "FHIR") -> str:
    return refusal_remedy(NoToken.read("http://idp/token", httpx.Response(status, json=body)), prefix, grant)


@pytest.mark.parametrize(
    ("status", "code", "words", "said"),
    [
        (401, "invalid_client", "Invalid client or Invalid client credentials", "not known there.*FHIR_CLIENT_SECRET"),
        (401, "unauthorized_client", "Invalid client secret", "not known there.*FHIR_CLIENT_SECRET"),
        (401, "unauthorized_client", "Client not enabled to retrieve service account", "service account"),
        (401, "unauthorized_client", "Public client not allowed to retrieve service account", "confidential client"),
        (400, "invalid_grant", "User disabled", "disabled or locked"),
        (400, "unsupported_grant_type", "Unsupported grant_type", "no token for client_credentials"),
        (403, "invalid_request", "HTTPS required", "FHIR_TOKEN_URL with https"),
        (404, "Realm does not exist", "", "no token endpoint at this address: check FHIR_TOKEN_URL"),
        (400, "invalid_scope", "", "check FHIR_TOKEN_URL, FHIR_CLIENT_ID"),
    ],
)
def test_each_refusal_names_its_setting_and_quotes_no_words_beside_the_code(
    status: int, code: str, words: str, said: str
) -> None:
    text = told(status, {"error": code, "error_description": f"{words} hush-hush"})
    assert re.search(said, text)
    assert "hush-hush" not in text


@pytest.mark.parametrize(
    ("version", "name", "grant", "said"),
    [
        ("2.41.9.1", "61e-client-credentials", "client_credentials", "the client may not get a token"),
        ("2.41.9.1", "61f-wrong-password", "password", "check DHIS2_USERNAME, DHIS2_PASSWORD"),
        ("2.43.1", "65c-oauth2on-token-client-credentials", "client_credentials", "check DHIS2_CLIENT_ID"),
        ("2.43.1", "65e-oauth2on-token-refresh", "refresh_token", "check DHIS2_CLIENT_ID"),
    ],
)
def test_recorded_refusals_of_dhis2_are_told_apart(version: str, name: str, grant: str, said: str) -> None:
    answer = load(version, name)["response"]
    assert said in told(answer["status"], answer["body"], grant, "DHIS2")


@pytest.mark.parametrize("body", [b"", b"[1]", b"<html>", b"[" * 100_000, b'{"error": null, "error_description": 7}'])
def test_an_answer_of_any_form_is_read(body: bytes) -> None:
    assert NoToken.read("http://idp/token", httpx.Response(400, content=body)).code == ""


def test_the_words_beside_the_code_are_not_shown() -> None:
    body = {"error": "invalid_client", "error_description": "no hush-hush"}
    assert "hush-hush" not in repr(NoToken.read("http://idp/token", httpx.Response(400, json=body)))
