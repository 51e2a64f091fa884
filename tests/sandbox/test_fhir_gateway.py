"""The sandbox gateway lets pass, filters and refuses what OpenSRP's gateway does by its source."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.fhir.auth import TOKEN_PATH, ClientCredentials, opensrp_claims
from opensrp_dhis2_sandbox.fhir.gateway import INNER_BASE, PREFIX, Gateway, create_gateway
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running

from .conftest import MovingClock

TEAM = "https://smartregister.org/care-team-tag-id"
READER = ("WEB_CLIENT", "GET_FLAG", "MANAGE_GROUP")


@dataclass
class Behind:
    """A gateway with five Flags, two of which belong to team 1."""

    gateway: Gateway
    clock: MovingClock
    client: httpx.Client

    def sign_in(self, *roles: str, **more: Any) -> None:
        self.gateway.keycloak.claims = opensrp_claims(*roles, **more)
        form = {"grant_type": "client_credentials", "client_id": "pipeline", "client_secret": "right"}
        token = self.client.post(TOKEN_PATH, data=form).json()["access_token"]
        self.client.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(PREFIX + path, headers=headers)


@pytest.fixture
def behind() -> Iterator[Behind]:
    clock = MovingClock()
    store = FhirStore(clock)
    for number in range(5):
        tag = [{"system": TEAM, "code": "1" if number < 2 else "2"}]
        store.put({"resourceType": "Flag", "id": f"f{number}", "meta": {"tag": tag}})
    gateway = Gateway(ClientCredentials("pipeline", "right", token_seconds=60), sync_tag=f"{TEAM}|1")
    with (
        running(create_gateway(store, gateway, clock=clock)) as url,
        httpx.Client(base_url=url, verify=False) as client,
    ):
        yield Behind(gateway, clock, client)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/Flag", 200), ("/Flag/f0", 200), ("/Flag/_history", 200), ("/Group", 200), ("/Patient", 403),
        ("/_history", 403), ("/$export", 403), ("/$export-poll-status?_jobId=x", 403), ("/metadata", 200),
    ],
)  # fmt: skip
def test_a_type_needs_its_role_and_what_names_no_type_is_refused(behind: Behind, path: str, status: int) -> None:
    behind.sign_in(*READER)
    assert behind.get(path).status_code == status


@pytest.mark.parametrize("roles", [(), ("GET_FLAG",), ("WEB_CLIENT", "ANDROID_CLIENT", "GET_FLAG")])
def test_exactly_one_client_role_is_needed(behind: Behind, roles: tuple[str, ...]) -> None:
    behind.sign_in(*roles)
    assert behind.get("/Flag").status_code == 403


def test_roles_of_single_clients_are_not_looked_at(behind: Behind) -> None:
    behind.sign_in("WEB_CLIENT", client_roles={"pipeline": ["GET_FLAG"]})
    assert behind.get("/Flag").status_code == 403


def test_without_a_token_or_its_app_id_or_after_its_end_only_metadata_is_open(behind: Behind) -> None:
    assert [behind.get(path).status_code for path in ("/Flag", "/metadata")] == [401, 200]
    behind.sign_in(*READER, app_id=None)
    assert behind.get("/Flag").status_code == 401
    behind.sign_in(*READER)
    behind.clock.move(59)
    assert behind.get("/Flag").status_code == 200
    behind.clock.move(1)
    assert behind.get("/Flag").status_code == 401


def test_the_android_app_sees_what_is_assigned_and_its_counts_agree_with_that(behind: Behind) -> None:
    behind.sign_in("WEB_CLIENT", "GET_FLAG")
    assert behind.get("/Flag?_summary=count").json()["total"] == 5
    behind.sign_in("ANDROID_CLIENT", "GET_FLAG")
    assert behind.get("/Flag?_summary=count").json()["total"] == 2
    assert [one["resource"]["id"] for one in behind.get("/Flag?_count=50").json()["entry"]] == ["f0", "f1"]
    assert behind.get("/Flag/f4").status_code == 200  # one by one nothing is hidden
    assert len(behind.get("/Flag/_history").json()["entry"]) == 5
    behind.gateway.sync_tag = ""
    assert behind.get("/Flag").status_code == 403


def test_links_name_the_inner_host_and_a_page_needs_no_token(behind: Behind) -> None:
    behind.sign_in(*READER)
    answer = behind.get("/Flag?_count=2")
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    [link] = [link["url"] for link in answer.json()["link"] if link["relation"] == "next"]
    assert link.startswith(f"{INNER_BASE}?_getpages=")
    del behind.client.headers["Authorization"]
    assert len(behind.get(link.removeprefix(INNER_BASE)).json()["entry"]) == 2


def test_no_cache_does_not_reach_hapi(behind: Behind) -> None:
    behind.sign_in(*READER)
    first, second = (behind.get("/Flag?_count=2", **{"Cache-Control": "no-cache"}).json() for _ in range(2))
    assert first["id"] == second["id"]


@pytest.mark.parametrize(("login", "status"), [("page", 200), ("redirect", 302)])
def test_a_login_stands_before_everything(behind: Behind, login: Any, status: int) -> None:
    behind.gateway.login = login
    assert behind.get("/metadata").status_code == status


def test_a_history_may_be_refused_alone(behind: Behind) -> None:
    behind.sign_in(*READER)
    behind.gateway.history_status = 405
    assert [behind.get(path).status_code for path in ("/Flag/_history", "/Flag")] == [405, 200]


def test_the_token_endpoint_may_fail_first(behind: Behind) -> None:
    behind.gateway.keycloak.statuses = [503]
    form = {"grant_type": "client_credentials", "client_id": "pipeline", "client_secret": "right"}
    assert [behind.client.post(TOKEN_PATH, data=form).status_code for _ in range(2)] == [503, 200]
