"""Runs a DHIS2 route: a real HTTP request to the target, with the route's credentials and headers.

It knows what passes through in both directions; keeping routes is elsewhere.
"""

import base64
from urllib.parse import quote, unquote_plus, urlsplit

import httpx

from opensrp_dhis2_sandbox.dhis2.http import Call, Dhis2, Reply, envelope_reply
from opensrp_dhis2_sandbox.dhis2.imports import Json, RefusedRequest
from opensrp_dhis2_sandbox.dhis2.routes import find_route

FORWARDED = (
    "accept", "accept-encoding", "accept-language", "x-requested-with", "user-agent", "cache-control", "content-type",
    "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "forwarded",
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-forwarded-prefix",
)  # fmt: skip
RETURNED = ("content-type", "content-language", "expires", "cache-control", "last-modified", "etag")
ILLEGAL_IN_QUERY = set(' |"<>\\^`{}')


def run_route(server: Dhis2, call: Call, name: str, sub_path: str) -> Reply:
    """Send the caller's request on to the route's target and its answer back."""
    route = find_route(server, name)
    if route is None or route["disabled"]:
        text = f"Route not found: '{name}'" if server.is_atomic else f"Route {name} not found"
        return envelope_reply(404, text, "E1005")
    if not (call.user.may(route["sharing"], 0) or call.user.has(*route["authorities"])):
        return envelope_reply(403, "User not authorized" + (" to execute route" if server.is_atomic else ""), "E1006")
    if sub_path and not route["url"].endswith("/**"):
        text = f"Route '{route['id']}' does not allow sub-paths"
        return envelope_reply(502, text) if server.is_atomic else envelope_reply(400, text, "E1003")
    url = _target(server, call, route, sub_path)
    headers = {key: call.headers[key] for key in FORWARDED if key in call.headers} | route["headers"]
    headers["X-Forwarded-User"] = call.user.username
    try:
        credentials, parameters = _credentials(server, call, route)
        url += ("?" + "&".join(f"{key}={value}" for key, value in parameters.items())) if parameters else ""
        return _send(server, call, url, headers | credentials, route["responseTimeoutSeconds"])
    except httpx.TransportError as error:
        return _broken(server, call, url, error)


def _target(server: Dhis2, call: Call, route: Json, sub_path: str) -> str:
    base = route["url"].removesuffix("**").removesuffix("/")
    url = f"{base}/{sub_path}" if route["url"].endswith("/**") else base
    query = unquote_plus(call.raw_query)
    if not query:
        return url
    if not server.is_atomic:
        return f"{url}?{quote(query, safe='=&:/+?,;@!$()*~-._')}"
    # The new versions send the decoded query on as it is, and fail on what a URL may not hold.
    whole = f"{url}?{query}"
    for index, sign in enumerate(whole):
        if sign in ILLEGAL_IN_QUERY:
            raise RefusedRequest(400, f"Illegal character in query at index {index}: {whole}")
        if sign == "%":
            raise RefusedRequest(400, f"Malformed escape pair at index {index}: {whole}")
    return whole


def _credentials(server: Dhis2, call: Call, route: Json) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers and query parameters of the route's auth; a lost secret sends nothing."""
    auth = route.get("auth") or {}
    kind = auth.get("type")
    if kind == "http-basic" and auth.get("password"):
        pair = f"{auth['username']}:{auth['password']}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}, {}
    if kind == "api-token" and auth.get("token"):
        return {"Authorization": f"ApiToken {auth['token']}"}, {}
    if kind == "api-headers":
        return auth.get("headers") or {}, {}
    if kind == "api-query-params" and auth.get("queryParams"):
        if call.raw_query:
            raise (
                RefusedRequest(502, "An error occurred during authentication")
                if server.is_atomic
                else RefusedRequest(500, None)
            )
        return {}, auth["queryParams"]
    if kind == "oauth2-client-credentials":
        return {"Authorization": f"Bearer {_oauth2_token(server, auth)}"}, {}
    return {}, {}


def _oauth2_token(server: Dhis2, auth: Json) -> str:
    name = f"{auth['clientId']}:{auth['tokenUri']}"
    kept = server.store.documents("route_token").get(name)
    if kept is None:
        client = (auth["clientId"], auth.get("clientSecret") or "")
        answer = httpx.post(auth["tokenUri"], data={"grant_type": "client_credentials"}, auth=client)
        if answer.status_code != 200:
            raise RefusedRequest(502, "An error occurred during authentication")
        kept = {"access_token": answer.json()["access_token"]}
        server.store.put_document("route_token", name, kept)
    token: str = kept["access_token"]
    return token


def _send(server: Dhis2, call: Call, url: str, headers: dict[str, str], timeout_seconds: int) -> Reply:
    with httpx.Client(timeout=timeout_seconds, follow_redirects=not server.is_atomic) as client:
        answer = client.request(call.method, url, headers=headers, content=call.body)
    kept = {name: answer.headers[name] for name in RETURNED if name in answer.headers}
    return Reply(answer.content, answer.status_code, kept)


def _broken(server: Dhis2, call: Call, url: str, error: httpx.TransportError) -> Reply:
    is_timeout = isinstance(error, httpx.TimeoutException)
    if server.is_atomic and is_timeout:
        return Reply(None, 504)
    if server.is_atomic:
        return envelope_reply(500, f"connect to {urlsplit(url).netloc} failed: {error}")
    reason = "Read timed out" if is_timeout else str(error)
    return envelope_reply(503, f'I/O error on {call.method} request for "{url}": {reason}')
