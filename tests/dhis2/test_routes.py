"""Routes: routes.yaml, and registering against a server that forgets secrets as DHIS2 does."""

from pathlib import Path
from typing import Any

import pytest

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.routes import Route, load_routes, register_routes
from opensrp_dhis2.errors import ConfigurationError, Dhis2AuthenticationError, Dhis2Error
from tests.dhis2.conftest import Answer, Asked, CannedDhis2, recorded, said
from tests.support.dhis2_recordings import VERSIONS

Json = dict[str, Any]
SECRETS = {"password", "token", "headers", "queryParams", "clientSecret"}
AUTHS: dict[str, Json] = {
    "http-basic": {"type": "http-basic", "username": "u1", "password": "s3cret"},
    "api-token": {"type": "api-token", "token": "s3cret"},
    "api-headers": {"type": "api-headers", "headers": {"X-Key": "s3cret"}},
    "api-query-params": {"type": "api-query-params", "queryParams": {"key": "s3cret"}},
    "oauth2-client-credentials": {
        "type": "oauth2-client-credentials",
        "clientId": "c1",
        "clientSecret": "s3cret",
        "tokenUri": "https://idp.example.org/token",
    },
}


def a_route(**members: Any) -> Route:
    return Route.model_validate({"code": "fhir", "name": "FHIR", "url": "https://fhir.example.org/**", **members})


class RouteStore:
    """The routes of a server: PUT replaces the whole, GET hides every secret, no sharing on PUT makes it public."""

    def __init__(self, server: CannedDhis2, version: str = "2.43.1") -> None:
        self.server = server
        self.stored: Json = {}
        self.public = "--------"
        server.on("GET", "/api/system/info", said({"version": version}))
        server.on("GET", "/api/routes", self.listed)
        server.on("POST", "/api/routes", self.posted)

    def listed(self, asked: Asked) -> Answer:
        code = asked.params["filter"][0].removeprefix("code:eq:")
        rows = [{"id": uid, "code": one["code"]} for uid, one in self.stored.items() if one["code"] == code]
        return said({"pager": {"page": 1, "pageCount": 1}, "routes": rows})

    def posted(self, asked: Asked) -> Answer:
        uid = f"RtNew{len(self.stored):06}"
        self.stored[uid] = {"sharing": {"public": self.public, "owner": "UsRouteAdm1"}, **asked.json()}
        self.server.on("GET", f"/api/routes/{uid}", lambda _: said(self.shown(uid)))
        self.server.on("PUT", f"/api/routes/{uid}", lambda asked: self.put(uid, asked))
        report = {"responseType": "ObjectReport", "uid": uid}
        return said({"httpStatus": "Created", "httpStatusCode": 201, "status": "OK", "response": report}, 201)

    def put(self, uid: str, asked: Asked) -> Answer:
        self.stored[uid] = {"sharing": {"public": "rw------"}, **asked.json()}
        return said({"httpStatus": "OK", "httpStatusCode": 200, "status": "OK", "response": {"uid": uid}})

    def shown(self, uid: str) -> Json:
        found = {"id": uid, "disabled": False, "headers": {}, "authorities": [], **self.stored[uid]}
        if "auth" in found:
            found["auth"] = {name: value for name, value in found["auth"].items() if name not in SECRETS}
        return found

    def methods(self) -> list[str]:
        return [asked.method for asked in self.server.asked if asked.method != "GET"]


def test_a_new_route_is_made_private_and_carries_its_secret(server: CannedDhis2, client: Dhis2Client) -> None:
    store = RouteStore(server)
    (result,) = register_routes(client, [a_route(auth=AUTHS["api-token"], response_timeout_seconds=30)])
    assert (result.code, result.action) == ("fhir", "created")
    stored = store.stored[result.uid]
    assert stored["auth"] == {"type": "api-token", "token": "s3cret"}
    assert (stored["sharing"]["public"], stored["responseTimeoutSeconds"]) == ("--------", 30)


@pytest.mark.parametrize("scheme", AUTHS)
def test_52_patch_54_put_a_change_keeps_every_kind_of_secret_and_the_sharing(
    server: CannedDhis2, client: Dhis2Client, scheme: str
) -> None:
    store = RouteStore(server)
    (first,) = register_routes(client, [a_route(auth=AUTHS[scheme])])
    store.stored[first.uid]["sharing"] = {"public": "r-------", "owner": "UsOther0001"}
    (second,) = register_routes(client, [a_route(auth=AUTHS[scheme], name="renamed")])
    assert (second.action, second.uid, store.methods()) == ("updated", first.uid, ["POST", "PUT"])
    stored = store.stored[first.uid]
    assert (stored["name"], stored["auth"]) == ("renamed", AUTHS[scheme])
    assert stored["sharing"] == {"public": "r-------", "owner": "UsOther0001"}


def test_54b_put_noauth_a_server_that_makes_routes_public_is_corrected_at_once(
    server: CannedDhis2, client: Dhis2Client
) -> None:
    store = RouteStore(server)
    store.public = "rw------"
    (result,) = register_routes(client, [a_route(auth=AUTHS["api-token"])])
    stored = store.stored[result.uid]
    assert (result.action, store.methods()) == ("created", ["POST", "PUT"])
    assert stored["sharing"] == {"public": "--------", "owner": "UsRouteAdm1"}
    assert stored["auth"] == AUTHS["api-token"]


def test_sharing_that_the_file_gives_is_set(server: CannedDhis2, client: Dhis2Client) -> None:
    store = RouteStore(server)
    wanted = {"public": "--------", "userGroups": {"UgReaders01": {"id": "UgReaders01", "access": "r-------"}}}
    actions = [register_routes(client, [a_route(sharing=wanted)])[0].action for _ in range(2)]
    assert actions == ["created", "unchanged"]
    (stored,) = store.stored.values()
    assert stored["sharing"] == {"owner": "UsRouteAdm1", **wanted}


def test_a_route_that_is_as_wanted_is_left_alone(server: CannedDhis2, client: Dhis2Client) -> None:
    store = RouteStore(server)
    actions = [register_routes(client, [a_route()])[0].action for _ in range(3)]
    assert actions == ["created", "unchanged", "unchanged"]
    assert store.methods() == ["POST"]


def test_taking_a_description_or_the_auth_away_is_a_change(server: CannedDhis2, client: Dhis2Client) -> None:
    store = RouteStore(server)
    register_routes(client, [a_route(description="old", auth=AUTHS["api-token"])])
    (result,) = register_routes(client, [a_route()])
    assert result.action == "updated"
    assert {"description", "auth"} & store.stored[result.uid].keys() == set()


@pytest.mark.parametrize(
    ("version", "scheme", "is_known"),
    [
        ("2.40.6", "api-headers", False),
        ("2.40.7", "api-headers", True),
        ("2.41.3", "api-query-params", False),
        ("2.41.9.1", "api-query-params", True),
        ("2.41.9.1", "oauth2-client-credentials", False),
        ("2.42.0", "oauth2-client-credentials", True),
        ("2.41.0", "http-basic", True),
    ],
)
def test_a_scheme_that_the_version_lacks_is_refused_before_anything_is_sent(
    server: CannedDhis2, client: Dhis2Client, version: str, scheme: str, is_known: bool
) -> None:
    store = RouteStore(server, version)
    if is_known:
        assert register_routes(client, [a_route(auth=AUTHS[scheme])])[0].action == "created"
        return
    with pytest.raises(ConfigurationError, match=f"route fhir: DHIS2 {version} does not know auth type {scheme}"):
        register_routes(client, [a_route(auth=AUTHS[scheme])])
    assert store.methods() == []


def test_a_host_that_is_not_allowed_names_the_line_of_dhis_conf(server: CannedDhis2, client: Dhis2Client) -> None:
    RouteStore(server)
    server.on("POST", "/api/routes", recorded("2.43.1", "50-route-http-default"))
    with pytest.raises(Dhis2Error, match=r"route\.remote_servers_allowed in dhis\.conf"):
        register_routes(client, [a_route(url="http://127.0.0.1:8095/ok")])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "error"),
    [("59b-duplicate-name", Dhis2Error), ("58-no-authority-create", Dhis2AuthenticationError)],
)
def test_a_route_that_the_server_refuses_is_an_error_that_names_it(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str, error: type[Dhis2Error]
) -> None:
    RouteStore(server, version)
    server.on("POST", "/api/routes", recorded(version, name))
    with pytest.raises(error, match="route fhir"):
        register_routes(client, [a_route()])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("59-duplicate-code", "RtWildcard1 has this code, and our account may not see it: let its owner share it"),
        ("59b-duplicate-name", "RtWildcard1 has the name 'FHIR'.*write another name into routes.yaml"),
    ],
)
def test_a_route_that_another_account_owns_is_named_with_what_can_be_done(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str, words: str
) -> None:
    RouteStore(server, version)
    server.on("POST", "/api/routes", recorded(version, name))
    with pytest.raises(Dhis2Error, match=words) as caught:
        register_routes(client, [a_route()])
    assert "Rename one" not in str(caught.value)


ROUTES = """
routes:
  - code: fhir
    name: FHIR facade
    url: https://fhir.example.org/**
    authorities: [M_dhis-web-app]
    auth: {type: api-headers, headers: {Authorization: {env: FHIR_HEADER}}}
  - {code: plain, name: Plain, url: "https://plain.example.org"}
"""


def test_routes_are_read_from_a_file_with_their_secrets_from_outside(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(ROUTES)
    first, second = load_routes(file, {"FHIR_HEADER": "Bearer s3cret"})
    assert first.to_wire()["auth"] == {"type": "api-headers", "headers": {"Authorization": "Bearer s3cret"}}
    assert "s3cret" not in repr(first)
    assert (second.code, second.auth) == ("plain", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("routes: [", "cannot be read"),
        ("- code: a", "must be a mapping with a list `routes`"),
        ("routes: [1]", "route 1 must be a mapping"),
        ("routes: [{code: a, name: a, url: 'ftp://x'}]", "url"),
        ("routes: [{code: a, name: a, url: 'https://x', responseTimeoutSeconds: 61}]", "responseTimeoutSeconds"),
        ("routes: [{code: a, name: a, url: 'https://x', scopes: b}]", "scopes"),
        ("routes: [{code: a, name: a, url: 'https://x', auth: {type: none}}]", "auth"),
        (
            "routes: [{code: a, name: a, url: 'https://x', auth: {type: api-token, token: s3cret}}]",
            "auth.token is a secret: write {env: NAME}",
        ),
        (
            "routes: [{code: a, name: a, url: 'https://x', auth: {type: api-token, token: {env: NOT_SET}}}]",
            "auth.token wants the environment variable NOT_SET",
        ),
        (
            "routes: [{code: a, name: a, url: 'https://x', auth: {type: oauth2-client-credentials, clientId: c, "
            "tokenUri: 'https://t', clientSecret: {env: SECRET}, scopes: {env: SECRET}}}]",
            "scopes",
        ),
    ],
)
def test_a_wrong_routes_file_is_refused_by_place_without_showing_a_secret(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_routes(file, {"SECRET": "s3cret"})
    assert words in str(caught.value)
    assert "routes.yaml" in str(caught.value)
    assert "s3cret" not in str(caught.value)
