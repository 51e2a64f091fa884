"""A token is renewed in time, once, by one thread, whatever its life, the clocks and the server do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.fhir import auth as sandbox_auth

from opensrp_dhis2.errors import FhirAuthenticationError
from opensrp_dhis2.fhir import auth as fhir_auth
from opensrp_dhis2.fhir.client import FhirClient
from tests.support.fhir_script import Answer, bundle, scripted
from tests.support.keycloak import ALWAYS, SECRET, Clock, client_credentials, count, eight_flags, guarded


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
        count(script.url.removesuffix("/fhir"), fhir_auth.client_credentials(f"{script.url}/token", "pipeline", SECRET))
    assert [asked.method for asked in script.asked] == ["POST", "GET", "POST", "GET"]


@pytest.mark.parametrize("expires_in", [None, 0, -5, "NaN", "missing"])
def test_a_token_that_does_not_say_its_life_is_kept_for_a_while_and_no_longer(expires_in: Any) -> None:
    clock = Clock()
    given = {"access_token": "t"} | ({} if expires_in == "missing" else {"expires_in": expires_in})
    token, answer = Answer(given), Answer(bundle(total=0))
    with scripted(token, answer, answer, token, answer) as script:
        auth = fhir_auth.client_credentials(f"{script.url}/token", "pipeline", SECRET, clock.seconds)
        for _ in range(2):
            count(script.url.removesuffix("/fhir"), auth)
        clock.move(31)
        count(script.url.removesuffix("/fhir"), auth)
    assert [asked.method for asked in script.asked] == ["POST", "GET", "GET", "POST", "GET"]


@pytest.mark.parametrize(("expires_in", "pauses"), [("20", (0, 9, 1)), (60, (0, 29, 2))])
def test_a_short_life_is_used_by_half_and_may_be_written_as_text(expires_in: Any, pauses: tuple[int, ...]) -> None:
    clock = Clock()
    token, answer = Answer({"access_token": "t", "expires_in": expires_in}), Answer(bundle(total=0))
    with scripted(token, answer, answer, token, answer) as script:
        auth = fhir_auth.client_credentials(f"{script.url}/token", "pipeline", SECRET, clock.seconds)
        for seconds in pauses:
            clock.move(seconds)
            count(script.url.removesuffix("/fhir"), auth)
    assert [asked.method for asked in script.asked] == ["POST", "GET", "GET", "POST", "GET"]


def test_the_life_of_a_token_counts_from_when_it_was_asked_for() -> None:
    clock = Clock()
    flow = fhir_auth.client_credentials("http://h/token", "pipeline", SECRET, clock.seconds)
    first = flow.sync_auth_flow(httpx.Request("GET", "http://h/fhir/Flag"))
    next(first)
    clock.move(50)  # a slow endpoint: half of the token's life is over when it comes
    first.send(httpx.Response(200, json={"access_token": "old", "expires_in": 80}))
    assert next(flow.sync_auth_flow(httpx.Request("GET", "http://h/fhir/Flag"))).url.path == "/token"


def flags(url: str, auth: httpx.Auth, between: Callable[[], None] = lambda: None) -> list[str]:
    """Read Flags by pages of two, and do something after each."""
    found = []
    with FhirClient(f"{url}/fhir", auth=auth, page_size=2) as client:
        for page in client.search_pages("Flag", ALWAYS):
            found += [one.id for one in page.resources]
            between()
    return found


@pytest.mark.parametrize(
    ("seconds", "tokens"), [(301, 4), (-3600, 1), (100, 2)], ids=["expired", "clock jumps back", "about to expire"]
)
def test_a_token_that_ends_while_paging_costs_no_page(seconds: float, tokens: int) -> None:
    clock, keycloak = Clock(), sandbox_auth.ClientCredentials("pipeline", SECRET, token_seconds=300)
    with eight_flags(keycloak, clock) as url:
        found = flags(url, client_credentials(url, clock), lambda: clock.move(seconds))
    assert found == [f"f{number}" for number in range(8)]
    assert keycloak.token_count == tokens


def test_a_clock_of_ours_that_stands_still_or_jumps_back_is_mended_by_the_401() -> None:
    ours, theirs = Clock(), Clock()
    keycloak = sandbox_auth.ClientCredentials("pipeline", SECRET, token_seconds=300)
    with eight_flags(keycloak, theirs) as url:

        def drift() -> None:
            theirs.move(200)
            ours.move(-1000)

        assert len(flags(url, client_credentials(url, ours), drift)) == 8
    assert keycloak.token_count == 2


def test_a_token_revoked_after_each_page_costs_one_renewal_each() -> None:
    clock, keycloak = Clock(), sandbox_auth.ClientCredentials("pipeline", SECRET)
    with eight_flags(keycloak, clock) as url:
        assert len(flags(url, client_credentials(url, clock), keycloak.revoke_all)) == 8
    assert keycloak.token_count == 4


@pytest.mark.parametrize("begins", ["without a token", "about to expire", "revoked"])
def test_eight_threads_renew_a_token_once(begins: str) -> None:
    clock, keycloak = Clock(), sandbox_auth.ClientCredentials("pipeline", SECRET, token_seconds=300)
    with guarded(keycloak, clock) as url, FhirClient(f"{url}/fhir", auth=client_credentials(url, clock)) as client:
        if begins != "without a token":
            client.count("Flag", ALWAYS)
            keycloak.token_count = 0
        if begins == "about to expire":
            clock.move(280)
        if begins == "revoked":
            keycloak.revoke_all()
        together = Barrier(8)

        def ask(_: int) -> int:
            together.wait()
            return client.count("Flag", ALWAYS)

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))) == [1] * 8
    assert keycloak.token_count == 1


def test_a_renewal_that_fails_lets_the_other_threads_try() -> None:
    clock, keycloak = Clock(), sandbox_auth.ClientCredentials("pipeline", SECRET, statuses=[400, 400])
    with guarded(keycloak, clock) as url, FhirClient(f"{url}/fhir", auth=client_credentials(url, clock)) as client:
        for _ in range(2):
            with pytest.raises(FhirAuthenticationError):
                client.count("Flag", ALWAYS)
        assert client.count("Flag", ALWAYS) == 1
