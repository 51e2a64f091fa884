"""A FHIR server that does not let us in: each way to come has its own words, and no token is told."""

from datetime import UTC, datetime

import httpx
import pytest
from opensrp_dhis2_sandbox.fhir import auth as sandbox_auth

from opensrp_dhis2.errors import FhirAuthenticationError
from opensrp_dhis2.fhir.auth import BearerAuth, client_credentials, make_auth, sign_in_remedy
from tests.support.keycloak import SECRET, count, guarded

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ENDED = sandbox_auth.unsigned_jwt({"exp": NOW.timestamp() - 60})
GOOD = sandbox_auth.unsigned_jwt({"exp": NOW.timestamp() + 60})


@pytest.mark.parametrize(
    ("auth", "status", "token", "words"),
    [
        (None, 401, "", "FHIR_AUTH is none"),
        (httpx.BasicAuth("reader", SECRET), 401, "", "check FHIR_USERNAME and FHIR_PASSWORD"),
        (BearerAuth(ENDED), 401, ENDED, "FHIR_TOKEN has expired on 2026-11-20 at 23:59 UTC"),
        (BearerAuth(GOOD), 401, GOOD, "expired or is another realm's"),
        (BearerAuth(SECRET), 401, SECRET, "expired or is another realm's"),
        (client_credentials("http://idp/token", "c", SECRET), 401, GOOD, "check the realm in FHIR_TOKEN_URL"),
        (BearerAuth(GOOD), 403, GOOD, "give the account the roles"),
        (None, 302, "", "then FHIR_BASE_URL"),
    ],
)
def test_each_way_in_that_is_refused_names_its_setting(
    auth: httpx.Auth | None, status: int, token: str, words: str
) -> None:
    told = sign_in_remedy(auth, status, token, NOW)
    assert words in told
    assert not token or token not in told


@pytest.mark.parametrize("claims", [{}, {"exp": None}, {"exp": "soon"}, {"exp": 1e300}, {"exp": -1e300}])
def test_a_token_that_does_not_say_its_end_is_no_error(claims: dict[str, object]) -> None:
    token = sandbox_auth.unsigned_jwt(claims)
    assert "another realm" in sign_in_remedy(BearerAuth(token), 401, token, NOW)


def test_the_message_of_a_request_has_these_words() -> None:
    with guarded(sandbox_auth.Bearer("right")) as url:
        for auth, words in ((None, "FHIR_AUTH is none"), (make_auth("bearer", token=ENDED), "FHIR_TOKEN")):
            with pytest.raises(FhirAuthenticationError, match=words) as caught:
                count(url, auth)
            assert ENDED not in str(caught.value)
