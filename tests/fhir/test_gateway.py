"""What a token lets us read is known before the first page, whatever the token looks like, and it is never shown."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opensrp_dhis2_sandbox.fhir.auth import TOKEN_PATH, ClientCredentials, opensrp_claims, unsigned_jwt
from opensrp_dhis2_sandbox.fhir.gateway import PREFIX, Gateway, create_gateway
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.errors import (
    FhirAuthenticationError,
    FhirError,
    FhirOutcomeError,
    FhirUnavailableError,
    IncompleteExtractError,
)
from opensrp_dhis2.fhir.auth import make_auth
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.gateway import Access, TypeProbe, check_counts, judge_token, probe, read_access, refusals
from tests.support.fhir_script import R4, Answer, bundle, scripted

SECRET, TEAM = "hush-hush", "https://smartregister.org/care-team-tag-id"
READER = ("WEB_CLIENT", "GET_FLAG", "GET_PATIENT")
TYPES = ["Flag", "Patient"]


def token_of(*roles: str, **more: Any) -> str:
    return unsigned_jwt(opensrp_claims(*roles, **more))


def jwt(payload: bytes) -> str:
    return f"e30.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.c2ln"


def test_roles_of_the_realm_and_of_clients_are_told_apart() -> None:
    access = read_access(token_of("GET_FLAG", client_roles={"pipeline": ["GET_PATIENT"]}))
    assert access.realm_roles >= {"GET_FLAG", "offline_access"}
    assert access.client_roles == {"GET_PATIENT", "view-profile"}
    assert (access.is_readable, access.has_app_id) == (True, True)
    assert not read_access(token_of(app_id=None)).has_app_id


@pytest.mark.parametrize(
    "token",
    [
        "", "opaque", "a.b", "a.b.c", "...", "a..c", "é.é.é", jwt(b"[]"), jwt(b"null"), jwt(b"{"), jwt(b"\xff"),
        jwt(b"[" * 100_000), "a.b.c.d.e",
    ],
)  # fmt: skip
def test_a_token_that_cannot_be_read_is_no_error_and_says_nothing(token: str) -> None:
    assert read_access(token) == Access()
    judge_token(token, TYPES)


@pytest.mark.parametrize(
    "payload", [b"{}", b'{"realm_access": null, "resource_access": null}', b'{"realm_access": {}}']
)
def test_a_token_without_roles_is_readable(payload: bytes) -> None:
    assert read_access(jwt(payload)) == Access(is_readable=True)


@pytest.mark.parametrize("length", range(4))
def test_base64_of_any_length_and_alphabet_is_read(length: int) -> None:
    claims = {"realm_access": {"roles": ["GET_FLAG"]}, "name": "ÿþ~?" * 3 + "x" * length}
    token = jwt(json.dumps(claims, ensure_ascii=False).encode())
    assert read_access(token).realm_roles == {"GET_FLAG"}


@pytest.mark.parametrize(
    "token",
    [
        token_of("ANDROID_CLIENT", "GET_FLAG", "GET_PATIENT"),
        token_of("ANDROID_CLIENT", *READER),
        token_of(*READER, client_roles={"fhir-core": ["ANDROID_CLIENT"]}),
        jwt(b'{"realm_access": {"roles": [7, "ANDROID_CLIENT"]}, "resource_access": 7}'),
    ],
    ids=["alone", "with WEB_CLIENT", "as a client's role", "among nonsense"],
)
def test_an_android_client_is_refused_with_reason_and_remedy(token: str) -> None:
    with pytest.raises(FhirAuthenticationError, match=r"ANDROID_CLIENT.*partial.*realm role WEB_CLIENT") as caught:
        judge_token(token, TYPES)
    assert not caught.value.is_transient
    assert caught.value.status is None  # so that nobody takes it for a history that is refused


def test_every_missing_role_is_named_at_once_for_its_type() -> None:
    with pytest.raises(FhirAuthenticationError) as caught:
        judge_token(token_of("WEB_CLIENT", "GET_FLAG"), ["Flag", "Patient", "QuestionnaireResponse"])
    assert "lacks GET_PATIENT for Patient, GET_QUESTIONNAIRERESPONSE for QuestionnaireResponse:" in str(caught.value)
    assert "GET_FLAG" not in str(caught.value)


def test_an_android_client_without_roles_hears_of_both() -> None:
    assert len(refusals(read_access(token_of("ANDROID_CLIENT")), TYPES)) == 2


@pytest.mark.parametrize(
    "token",
    [
        token_of(*READER),
        token_of("WEB_CLIENT", "MANAGE_FLAG", "MANAGE_PATIENT"),
        token_of("GET_FLAG", "GET_PATIENT"),
        token_of("WEB_CLIENT", client_roles={"pipeline": ["GET_FLAG", "GET_PATIENT"]}),
        token_of(),
        token_of("MANAGE_USERS", "fhir-reader"),
    ],
    ids=["reader", "manager", "an old gateway", "client's roles", "no roles", "another server's roles"],
)
def test_a_token_that_may_well_do_is_not_refused(token: str) -> None:
    assert refusals(read_access(token), TYPES) == []


def test_refusals_quote_nothing_of_the_token() -> None:
    claims = opensrp_claims("ANDROID_CLIENT", f"GET_{SECRET}", SECRET, app_id=SECRET)
    token = unsigned_jwt({**claims, "preferred_username": SECRET, "email": SECRET})
    with pytest.raises(FhirAuthenticationError) as caught:
        judge_token(token, TYPES)
    said = str(caught.value) + repr(caught.value)
    assert SECRET not in said
    assert not any(part in said for part in token.split("."))


def store_of(flag_count: int = 5) -> FhirStore:
    store = FhirStore()
    for number in range(flag_count):
        tag = [{"system": TEAM, "code": "1" if number < 2 else "2"}]
        store.put({"resourceType": "Flag", "id": f"f{number}", "meta": {"tag": tag}})
    return store


@contextmanager
def behind(*roles: str, **more: Any) -> Iterator[tuple[Gateway, FhirClient, list[str]]]:
    """Open a client through a gateway that knows 5 Flags, 2 of them of our team; nothing is judged."""
    keycloak = ClientCredentials("pipeline", SECRET, claims=opensrp_claims(*roles, **more) if roles else None)
    gateway, tokens = Gateway(keycloak, sync_tag=f"{TEAM}|1"), list[str]()
    with running(create_gateway(store_of(), gateway)) as url:
        given = {"token_url": url + TOKEN_PATH, "client_id": "pipeline", "client_secret": SECRET}
        auth = make_auth("client_credentials", **given, judge=tokens.append)
        with FhirClient(url + PREFIX, auth=auth) as client:
            yield gateway, client, tokens


def test_counts_that_suffice_pass_with_one_request_a_type() -> None:
    with scripted(Answer(bundle(total=5)), Answer(bundle(total=7))) as script, FhirClient(script.url) as client:
        check_counts(client, {"Flag": 5, "Patient": 6})
        assert [asked.path for asked in script.asked] == ["/fhir/Flag", "/fhir/Patient"]
        assert all("_summary=count" in asked.query for asked in script.asked)
        check_counts(client, {})
    assert len(script.asked) == 2


def test_counts_that_fall_short_are_refused_with_both_numbers_of_every_type() -> None:
    with behind("ANDROID_CLIENT", "GET_FLAG", "GET_GROUP") as (_, client, _):
        with pytest.raises(IncompleteExtractError, match="Flag 2 of 5, Group 0 of 1") as caught:
            check_counts(client, {"Flag": 5, "Group": 1})
        assert "FHIR_EXPECTED_COUNTS" in str(caught.value)
        check_counts(client, {"Flag": 2})


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(b"<html>", headers={"Content-Type": "text/html"}), FhirOutcomeError),
        (Answer(b"", 302, {"Location": "http://keycloak/auth?state=s3cr3t"}), FhirAuthenticationError),
        (Answer(bundle()), FhirOutcomeError),
        (Answer(b"", 403), FhirAuthenticationError),
        (Answer(b"", 500), FhirUnavailableError),
    ],
    ids=["login page", "redirect", "no total", "403", "500"],
)
def test_a_count_that_cannot_be_had_is_an_error_and_no_zero(answer: Answer, kind: type[FhirError]) -> None:
    with scripted(answer) as script, FhirClient(script.url) as client, pytest.raises(kind) as caught:
        check_counts(client, {"Flag": 1})
    assert "s3cr3t" not in str(caught.value)


def probed(client: FhirClient, tokens: list[str], **expected: int) -> tuple[str, dict[str, TypeProbe]]:
    said, rows = probe(client, TYPES, expected, tokens)
    return said, {row.resource_type: row for row in rows}


def test_probe_shows_what_a_web_client_may_do() -> None:
    with behind("WEB_CLIENT", "GET_FLAG", "GET_PATIENT") as (gateway, client, tokens):
        said, rows = probed(client, tokens, Flag=5)
    assert "WEB_CLIENT: the gateway does not filter" in said
    assert rows["Flag"] == TypeProbe("Flag", "yes (GET_FLAG)", 5, 5, "yes", "no (HTTP 403)", False, "")
    assert rows["Patient"].counted == 0
    assert gateway.keycloak.token_count == 1


def test_probe_shows_every_obstacle_with_its_remedy() -> None:
    with behind("ANDROID_CLIENT", "GET_FLAG") as (gateway, client, tokens):
        gateway.history_status = 403
        _, rows = probed(client, tokens, Flag=5, Group=1)
    assert all(row.is_refused for row in rows.values())
    flag, patient, group = rows["Flag"], rows["Patient"], rows["Group"]
    assert (flag.counted, flag.expected, flag.history) == (2, 5, "no (HTTP 403)")
    assert "3 fewer than FHIR_EXPECTED_COUNTS" in flag.what_to_do
    assert "partial" in flag.what_to_do
    assert "comparing all ids" in flag.what_to_do
    assert (patient.may_read, patient.counted) == ("no", None)
    assert "GET_PATIENT for Patient" in patient.what_to_do
    assert "GET_GROUP for Group" in group.what_to_do


def test_a_refused_history_alone_is_advice() -> None:
    with behind(*READER) as (gateway, client, tokens):
        gateway.history_status = 405
        _, rows = probed(client, tokens)
    assert (rows["Flag"].is_refused, rows["Flag"].history) == (False, "no (HTTP 405)")
    assert "Flag/_history" in rows["Flag"].what_to_do


def test_a_role_that_only_a_client_gives_is_pointed_out() -> None:
    with behind("WEB_CLIENT", "GET_PATIENT", client_roles={"x": ["GET_FLAG"]}) as (_, client, tokens):
        _, rows = probed(client, tokens)
    assert rows["Flag"].may_read == "no (GET_FLAG, a client's role: the gateway reads the realm's)"
    assert rows["Flag"].is_refused


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ([], "No access token"),
        (["opaque"], "opaque"),
        ([jwt(b"{}")], "names no roles"),
        ([token_of("fhir-reader")], "no role of the OpenSRP gateway"),
        ([token_of("GET_FLAG", app_id=None)], "lacks WEB_CLIENT and the claim fhir_core_app_id"),
    ],
)
def test_probe_says_what_kind_of_token_it_is(token: list[str], said: str) -> None:
    count, history = Answer(bundle(total=3)), Answer(bundle())
    with scripted(Answer(R4), Answer(b"", 404), count, history) as script, FhirClient(script.url) as client:
        sentence, [row] = probe(client, ["Flag"], {}, token)
    assert said in sentence
    assert (row.counted, row.export) == (3, "no (HTTP 404)")


@pytest.mark.parametrize(
    ("recording", "export"), [("15a-export-kickoff-no-prefer", "yes"), ("15s-export-not-enabled", "no (HTTP 400)")]
)
def test_15_an_export_is_seen_to_be_there_without_beginning_one(shared: Any, recording: str, export: str) -> None:
    said = json.loads((shared / "contracts" / "hapi" / f"{recording}.json").read_text())["response"]
    answers = Answer(R4), Answer(said["body"], said["status"]), Answer(bundle(total=0)), Answer(bundle())
    with scripted(*answers) as script, FhirClient(script.url) as client:
        _, [row] = probe(client, ["Flag"], {}, [])
    assert row.export == export
    assert "prefer" not in script.asked[1].headers


def test_a_server_that_is_down_is_no_row_of_refusals() -> None:
    with (
        scripted(Answer(R4), Answer(b"", 500)) as script,
        FhirClient(script.url) as client,
        pytest.raises(FhirUnavailableError),
    ):
        probe(client, ["Flag"], {}, [])
