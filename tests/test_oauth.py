"""A token endpoint without an end costs a minute, for FHIR as for DHIS2, and is told by its own setting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.errors import Dhis2TimeoutError, FhirUnavailableError, HttpError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.export import BulkExport
from opensrp_dhis2.http.oauth import Grant, TokenAuth
from tests.support.keycloak import ALWAYS
from tests.support.slow_server import SLOWNESS, slow_server


@contextmanager
def endless(how: str) -> Iterator[TokenAuth]:
    with slow_server(*SLOWNESS[how]) as (url, _):
        yield TokenAuth(Grant(f"{url}/token", {"grant_type": "x"}), lambda answer: HttpError(answer.said), seconds=0.3)


def count(auth: TokenAuth) -> None:
    with FhirClient("http://127.0.0.1:9/fhir", auth=auth) as client:
        client.count("Flag", ALWAYS)


def kick_off(auth: TokenAuth) -> None:
    with FhirClient("http://127.0.0.1:9/fhir", auth=auth) as client, BulkExport(client) as bulk:
        bulk.kick_off(["Flag"])


def post(auth: TokenAuth) -> None:
    with Dhis2Client("http://127.0.0.1:9", auth=auth) as client:
        client.post_data_value_set(b"{}")


@pytest.mark.parametrize("how", SLOWNESS)
@pytest.mark.parametrize(
    ("ask", "kind", "said"),
    [
        (count, FhirUnavailableError, "check FHIR_TOKEN_URL"),
        (kick_off, FhirUnavailableError, "FHIR_TOKEN_URL"),
        (post, Dhis2TimeoutError, "DHIS2_TOKEN_URL"),
    ],
)
def test_a_token_endpoint_without_an_end_is_given_up_and_named(
    ask: Callable[[TokenAuth], None], kind: type[Exception], said: str, how: str
) -> None:
    with endless(how) as auth, pytest.raises(kind, match=rf"token endpoint http.*/token.*within 0\.3 s.*{said}"):
        ask(auth)
