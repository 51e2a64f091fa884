"""A deployment behind OpenSRP's gateway: Keycloak, the gateway, HAPI, and the settings that name them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from opensrp_dhis2_sandbox.fhir.auth import TOKEN_PATH, ClientCredentials, opensrp_claims
from opensrp_dhis2_sandbox.fhir.gateway import PREFIX, Gateway, create_gateway
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running
from starlette.requests import Request

from opensrp_dhis2.connections import open_fhir
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.settings import Settings
from tests.support.clock import START, TickingClock
from tests.support.watched import Watched

SECRET, TEAM = "hush-hush-secret", "https://smartregister.org/care-team-tag-id"
READER = ("WEB_CLIENT", "GET_FLAG")
HOUR_MS = 3_600_000


@dataclass
class Site:
    """A gateway with Keycloak and HAPI behind it, and what a deployment sets to reach it."""

    store: FhirStore
    gateway: Gateway
    url: str = ""
    paths: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    before: Callable[[int], None] = lambda number: None
    now_ms: int = round(START.timestamp() * 1000)

    @property
    def keycloak(self) -> ClientCredentials:
        return self.gateway.keycloak

    def settings(self, **more: str) -> dict[str, str]:
        return {
            "FHIR_BASE_URL": self.url + PREFIX, "FHIR_AUTH": "client_credentials", "FHIR_TOKEN_URL": self.url + TOKEN_PATH,
            "FHIR_CLIENT_ID": "pipeline", "FHIR_CLIENT_SECRET": SECRET, "FHIR_RESOURCE_TYPES": "Flag",
            "FHIR_PAGE_SIZE": "20", **more,
        }  # fmt: skip

    def client(self, judge: Callable[[str], None] | None = None) -> FhirClient:
        return open_fhir(Settings.from_mapping(self.settings()), judge)

    def put(self, count: int, first: int = 0) -> None:
        for number in range(first, first + count):
            tag = [{"system": TEAM, "code": str(number % 2)}]
            stamp_ms = self.now_ms - 48 * HOUR_MS + number * 1000
            self.store.put({"resourceType": "Flag", "id": f"f{number:04}", "meta": {"tag": tag}}, stamp_ms=stamp_ms)

    def delete(self, *numbers: int) -> None:
        for number in numbers:
            self.store.delete("Flag", f"f{number:04}", stamp_ms=self.now_ms)

    def see(self, request: Request) -> None:
        """Note a request, and let something happen before it is answered."""
        self.paths.append(request.url.path)
        self.queries.append(request.url.query)
        self.before(len(self.paths))

    def cursors(self) -> set[str]:
        """Give the page cursors that were asked for: each opens a page without a token."""
        return {one for query in self.queries for one in parse_qs(query).get("_getpages", ())}

    def ids(self) -> set[str]:
        return {one.id for one in self.store.current("Flag")}


@contextmanager
def gateway_site() -> Iterator[Site]:
    """Run a gateway whose account may read Flags and filters nothing."""
    keycloak = ClientCredentials("pipeline", SECRET, claims=opensrp_claims(*READER))
    found = Site(FhirStore(TickingClock()), Gateway(keycloak, sync_tag=f"{TEAM}|1"))
    with running(Watched(create_gateway(found.store, found.gateway), found.see)) as url:
        found.url = url
        yield found
