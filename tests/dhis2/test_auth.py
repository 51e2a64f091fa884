"""Credentials of every kind, on the wire of a real loopback server."""

import base64
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opensrp_dhis2.connections import open_dhis2
from opensrp_dhis2.dhis2.auth import Credentials, make_auth, read_auth
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.errors import ConfigurationError, Dhis2AuthenticationError, Dhis2UnavailableError
from opensrp_dhis2.settings import Settings
from tests.dhis2.conftest import Answer, Asked, CannedDhis2, said

GIVEN = {
    "username": "pipeline",
    "password": "pass-word",
    "token": "to-ken",
    "client_id": "client-1",
    "client_secret": "client-secret",
}
TOKEN_PATHS = {"oauth2_password": "/uaa/oauth/token", "oauth2_refresh": "/oauth2/token", "client_credentials": "/idp"}
ENVELOPE = {"httpStatus": "Unauthorized", "httpStatusCode": 401, "status": "ERROR", "message": "Unauthorized"}
UNAUTHORIZED_GRANT = {"error": "invalid_client", "error_description": "Unauthorized grant type"}  # recording 61e
CLIENT = "Basic " + base64.b64encode(b"client-1:client-secret").decode()


def credentials(server: CannedDhis2, kind: str) -> Credentials:
    return read_auth(kind, {**GIVEN, "token_url": f"{server.url}/idp"})


def open_client(server: CannedDhis2, kind: str, **options: Any) -> Dhis2Client:
    return Dhis2Client(server.url, auth=make_auth(credentials(server, kind), server.url, **options))


def tokens(expires_in: int = 3600, **more: str) -> Iterator[Answer]:
    for number in itertools.count(1):
        yield said({"access_token": f"access-{number}", "expires_in": expires_in, **more})


def tokens_with_refresh() -> list[Answer]:
    return [said({"access_token": "a", "refresh_token": f"refresh-{number}"}) for number in (1, 2)]


def only_with(token: str) -> Any:
    """Let in who shows this token."""
    return lambda asked: (
        said({"id": "x"}) if asked.headers["authorization"] == f"Bearer {token}" else Answer(401, b"{}")
    )


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("pat", "ApiToken to-ken"),
        ("bearer", "Bearer to-ken"),
        ("basic", "Basic " + base64.b64encode(b"pipeline:pass-word").decode()),
    ],
)
def test_a_fixed_secret_goes_with_every_request(server: CannedDhis2, kind: str, header: str) -> None:
    server.on("GET", "/api/me", said({"id": "x"}))
    with open_client(server, kind) as client:
        client.me()
        client.me()
    assert [asked.headers["authorization"] for asked in server.asked] == [header, header]


@pytest.mark.parametrize(
    ("kind", "grant"),
    [
        ("oauth2_password", b"grant_type=password&username=pipeline&password=pass-word"),
        ("oauth2_refresh", b"grant_type=refresh_token&refresh_token=to-ken"),
        ("client_credentials", b"grant_type=client_credentials"),
    ],
)
def test_a_token_is_fetched_once_and_used_until_it_expires(server: CannedDhis2, kind: str, grant: bytes) -> None:
    server.on("POST", TOKEN_PATHS[kind], *itertools.islice(tokens(), 3))
    server.on("GET", "/api/me", only_with("access-1"))
    with open_client(server, kind) as client:
        client.me()
        client.me()
    asked = [one for one in server.asked if one.path == TOKEN_PATHS[kind]]
    assert [(one.raw, one.headers["authorization"]) for one in asked] == [(grant, CLIENT)]


@pytest.mark.parametrize("kind", TOKEN_PATHS)
def test_a_token_is_renewed_before_it_expires(server: CannedDhis2, kind: str) -> None:
    now = [0.0]
    server.on("POST", TOKEN_PATHS[kind], *itertools.islice(tokens(expires_in=600), 3))
    server.on("GET", "/api/me", said({"id": "x"}))
    with open_client(server, kind, clock=lambda: now[0]) as client:
        for now[0] in (0.0, 539.0, 541.0):
            client.me()
    shown = [one.headers["authorization"] for one in server.asked if one.path == "/api/me"]
    assert shown == ["Bearer access-1", "Bearer access-1", "Bearer access-2"]


@pytest.mark.parametrize("kind", TOKEN_PATHS)
def test_a_token_that_is_no_longer_accepted_is_renewed_once_and_the_body_goes_again(
    server: CannedDhis2, kind: str
) -> None:
    server.on("POST", TOKEN_PATHS[kind], *itertools.islice(tokens(), 3))
    server.on("POST", "/api/dataValueSets", only_with("access-2"))
    with open_client(server, kind) as client:
        assert client.post_data_value_set(b'{"dataValues":[]}').status == 200
    sent = [one for one in server.asked if one.path == "/api/dataValueSets"]
    assert [one.raw for one in sent] == [b'{"dataValues":[]}'] * 2


def test_a_new_refresh_token_is_used_and_told_so_that_it_can_be_kept(server: CannedDhis2) -> None:
    kept: list[str] = []
    now = [0.0]
    renewed = [said({"access_token": "a", "expires_in": 300, "refresh_token": f"refresh-{n}"}) for n in (1, 2)]
    server.on("POST", "/oauth2/token", *renewed)
    server.on("GET", "/api/me", said({"id": "x"}))
    with open_client(server, "oauth2_refresh", clock=lambda: now[0], on_new_refresh_token=kept.append) as client:
        for now[0] in (0.0, 1000.0):
            client.me()
    grants = [one.raw for one in server.asked if one.path == "/oauth2/token"]
    assert grants[1] == b"grant_type=refresh_token&refresh_token=refresh-1"
    assert kept == ["refresh-1", "refresh-2"]


def open_with_refresh(server: CannedDhis2, **settings: str) -> Dhis2Client:
    given = {"DHIS2_BASE_URL": server.url, "DHIS2_AUTH": "oauth2_refresh", "DHIS2_CLIENT_ID": "c", **settings}
    return open_dhis2(Settings.from_mapping({**given, "DHIS2_CLIENT_SECRET": "client-secret"}))


def test_a_new_refresh_token_is_written_into_its_file_for_the_next_run(server: CannedDhis2, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("refresh-0\n")
    server.on("POST", "/oauth2/token", *tokens_with_refresh())
    server.on("GET", "/api/me", said({"id": "x"}))
    for _ in range(2):
        with open_with_refresh(server, DHIS2_TOKEN_FILE=str(file)) as client:
            client.me()
    sent = [asked.body.decode() for asked in server.asked if asked.path == "/oauth2/token"]
    assert ["refresh-0" in sent[0], "refresh-1" in sent[1], file.read_text()] == [True, True, "refresh-2"]
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_a_new_refresh_token_that_cannot_be_kept_is_told_and_not_shown(
    server: CannedDhis2, caplog: pytest.LogCaptureFixture
) -> None:
    server.on("POST", "/oauth2/token", *tokens_with_refresh())
    server.on("GET", "/api/me", said({"id": "x"}))
    with open_with_refresh(server, DHIS2_TOKEN="refresh-0") as client:
        assert client.me().user_id == "x"
    assert "a person must log in again" in caplog.text
    assert "refresh-1" not in caplog.text


def test_an_expired_refresh_token_falls_back_on_the_password(server: CannedDhis2) -> None:
    def grant(asked: Asked) -> Answer:
        if b"grant_type=refresh_token" in asked.raw:
            return said({"error": "invalid_grant"}, 400)
        return said({"access_token": "a", "expires_in": 300, "refresh_token": "r"})

    now = [0.0]
    server.on("POST", "/uaa/oauth/token", grant)
    server.on("GET", "/api/me", said({"id": "x"}))
    with open_client(server, "oauth2_password", clock=lambda: now[0]) as client:
        for now[0] in (0.0, 1000.0):
            assert client.me().user_id == "x"


@pytest.mark.parametrize(
    ("kind", "answer", "words"),
    [
        ("oauth2_password", (401, ENVELOPE), "check DHIS2_CLIENT_ID and DHIS2_CLIENT_SECRET; from DHIS2 2.42"),
        ("oauth2_password", (400, {"error": "invalid_grant"}), "check DHIS2_USERNAME, DHIS2_PASSWORD"),
        ("oauth2_password", (401, UNAUTHORIZED_GRANT), "client may not get a token for a password.*DHIS2_AUTH=pat"),
        ("oauth2_password", (400, {"error": "unsupported_grant_type"}), "no token for a password.*DHIS2_AUTH=pat"),
        ("oauth2_refresh", (404, {}), "no OAuth 2 server here: up to DHIS2 2.41"),
        ("oauth2_refresh", (401, ENVELOPE), "oauth2.server.enabled"),
        ("oauth2_refresh", (401, {"error": "invalid_client"}), "secret is another one: check DHIS2_CLIENT_ID"),
        (
            "oauth2_refresh",
            (400, {"error": "invalid_grant"}),
            r"HTTP 400, invalid_grant\): the refresh token has expired.*DHIS2_TOKEN",
        ),
        (
            "client_credentials",
            (401, {"error": "invalid_client"}),
            r"HTTP 401, invalid_client\): .* check DHIS2_CLIENT_ID",
        ),
        (
            "client_credentials",
            (404, {"error": "Realm does not exist"}),
            r"HTTP 404, some error\): there is no token endpoint.*DHIS2_TOKEN_URL",
        ),
        ("client_credentials", (200, {"no": "token"}), r"HTTP 200\): check DHIS2_TOKEN_URL, DHIS2_CLIENT_ID"),
    ],
)
def test_a_refused_token_names_endpoint_answer_and_remedy_and_no_secret(
    server: CannedDhis2, kind: str, answer: tuple[int, object], words: str
) -> None:
    server.on("POST", TOKEN_PATHS[kind], said(answer[1], answer[0]))
    with open_client(server, kind) as client, pytest.raises(Dhis2AuthenticationError, match=words) as caught:
        client.me()
    assert f"{server.url}{TOKEN_PATHS[kind]}" in str(caught.value)
    assert not any(secret in str(caught.value) for secret in ("pass-word", "to-ken", "client-secret"))


def test_a_token_endpoint_that_is_down_is_asked_again_and_then_transient(server: CannedDhis2) -> None:
    pauses: list[float] = []
    server.on("POST", "/idp", Answer(503, b"<html></html>", {"Retry-After": "7"}))
    with (
        open_client(server, "client_credentials", sleep=pauses.append) as client,
        pytest.raises(Dhis2UnavailableError, match="try later"),
    ):
        client.me()
    assert pauses == [7.0] * 3


@pytest.mark.parametrize("body", [b'{"access_token":"a","expires_in":"soon"}', b'{"access_token":7}', b"[" * 100_000])
def test_an_answer_that_is_no_token_is_an_error_of_ours(server: CannedDhis2, body: bytes) -> None:
    server.on("POST", "/idp", Answer(200, body))
    with open_client(server, "client_credentials") as client, pytest.raises(Dhis2AuthenticationError, match="no token"):
        client.me()


def test_missing_settings_are_named_and_given_ones_not_shown() -> None:
    with pytest.raises(
        ConfigurationError, match="DHIS2_AUTH=oauth2_password needs DHIS2_CLIENT_ID, DHIS2_CLIENT_SECRET"
    ):
        read_auth("oauth2_password", {"username": "u", "password": "pass-word", "client_id": ""})


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="use one of pat, basic, bearer, oauth2_password"):
        read_auth("kerberos", GIVEN)


def test_a_secret_does_not_show_when_credentials_are_printed() -> None:
    assert "to-ken" not in repr(read_auth("pat", GIVEN))
