"""Says who calls: Basic, personal access tokens, sessions; and makes, lists and revokes tokens.

It knows credentials; what a user may do is in the metadata.
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping
from string import ascii_letters, digits

from opensrp_dhis2_sandbox.dhis2.http import Call, Dhis2, Reply, envelope_reply
from opensrp_dhis2_sandbox.dhis2.imports import Json, web_message
from opensrp_dhis2_sandbox.dhis2.metadata import User

TOKEN_CLASS = "org.hisp.dhis.security.apikey.ApiToken"  # noqa: S105 - a class name
METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})
DAYS_30 = 30 * 24 * 3600 * 1000


def authenticate(server: Dhis2, method: str, headers: Mapping[str, str], base_url: str, peer: str) -> User | Reply:
    """Find the user of a request, or the reply that refuses it."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        return _basic(server, credentials)
    if scheme == "ApiToken":
        return _token(server, credentials, method, headers.get("x-forwarded-for", peer))
    if scheme == "Bearer" and not server.is_atomic:
        error = {"error": "invalid_token", "error_description": "Invalid access token"}
        challenge = 'Bearer realm="oauth", error="invalid_token", error_description="Invalid access token"'
        return Reply(error, 401, {"www-authenticate": challenge})
    user = _session_user(server, headers.get("cookie", ""))
    if user:
        return user
    if headers.get("x-requested-with") == "XMLHttpRequest":
        return envelope_reply(401, "Unauthorized")
    return Reply(None, 302, {"location": base_url + ("/login/" if server.is_atomic else "/dhis-web-login")})


def _basic(server: Dhis2, credentials: str) -> User | Reply:
    try:
        username, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return envelope_reply(401, "Unauthorized")
    user = server.metadata.users.get(username)
    if user is None or user.password != password:
        return envelope_reply(401, "Unauthorized")
    return envelope_reply(401, "Account disabled") if user.is_disabled else user


def _session_user(server: Dhis2, cookie: str) -> User | None:
    names = (part.strip().partition("=")[2] for part in cookie.split(";") if part.strip().startswith("JSESSIONID="))
    sessions = server.store.documents("session") if cookie else {}
    found = next((sessions[name] for name in names if name in sessions), None)
    return server.metadata.users.get(found["username"]) if found else None


def session_cookie(server: Dhis2, user: User) -> str:
    """Return the cookie of the user's session; one session a user is enough here."""
    name = hashlib.sha256(f"session of {user.id}".encode()).hexdigest()[:32].upper()
    if name not in server.store.documents("session"):
        server.store.put_document("session", name, {"username": user.username})
    return f"JSESSIONID={name}; Path=/; HttpOnly" + ("; SameSite=Lax" if server.is_atomic else "")


def _token(server: Dhis2, key: str, method: str, address: str) -> User | Reply:
    if not key.startswith("d2p_") or key[-6:] != _checksum(key[4:-6]):
        return _token_refusal(400, "Checksum validation failed")
    token = server.store.documents("token").get(_digest(key))
    prefix = "Failed to authenticate API token, "
    if token is None:
        return _token_refusal(401, "The API token does not exists")
    if token["expire"] <= server.epoch_millis():
        return _token_refusal(401, prefix + "token has expired.")
    for attribute in token["attributes"]:
        if method not in attribute.get("allowedMethods", [method]):
            return _token_refusal(401, prefix + "request http method is not allowed.")
        if address not in attribute.get("allowedIps", [address]):
            return _token_refusal(401, prefix + "request ip address is not allowed.")
    return server.metadata.users[token["username"]]


def _token_refusal(status: int, message: str) -> Reply:
    reply = envelope_reply(status, message)
    reply.headers["www-authenticate"] = "ApiToken"
    return reply


def _checksum(text: str) -> str:
    """Write a CRC as six digits; ours need only agree with themselves."""
    return f"{zlib.crc32(text.encode()) % 10**6:06}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def post_token(server: Dhis2, call: Call) -> Reply:
    """Make a personal access token; its key is shown this once."""
    sent: Json = call.json() or {}
    attributes = sent.get("attributes") or []
    bad = [word for each in attributes for word in each.get("allowedMethods", []) if word not in METHODS]
    if bad:
        text = f"Failed to validate the token's attributes, message: Not a valid http method, value={bad[0]}"
        return envelope_reply(409, text, "E1004")
    secret = "".join(server.random.choices(ascii_letters + digits, k=44))
    key, uid = f"d2p_{secret}{_checksum(secret)}", server.new_id()
    token = {"id": uid, "created": server.timestamp(), "username": call.user.username, "attributes": attributes}
    token["expire"] = sent.get("expire") or server.epoch_millis() + DAYS_30
    server.store.put_document("token", _digest(key), token)
    kind = {"responseType": "ObjectReport" if server.is_atomic else "ApiTokenCreationResponse"}
    body = {"key": key, "uid": uid, "klass": TOKEN_CLASS, "errorReports": []}
    response = body | kind if server.is_atomic else kind | body
    location = {"location": f"{call.base_url}/api/apiToken/{uid}"}
    return Reply(web_message(201, None) | {"response": response}, 201, location)


def own_tokens(server: Dhis2, user: User) -> dict[str, Json]:
    """List the user's tokens by id, as the API shows them: without the key."""
    return {
        token["id"]: {
            "created": token["created"],
            "version": 2,
            "type": "PERSONAL_ACCESS_TOKEN_V2",
            "expire": token["expire"],
            "attributes": token["attributes"],
            "id": token["id"],
        }
        for token in server.store.documents("token").values()
        if token["username"] == user.username
    }


def delete_token(server: Dhis2, call: Call, uid: str) -> Reply | None:
    """Revoke a token of the user; None when there is no such token."""
    for name, token in server.store.documents("token").items():
        if token["id"] == uid and token["username"] == call.user.username:
            server.store.drop_document("token", name)
            body: Json = {"uid": uid, "klass": TOKEN_CLASS, "errorReports": []}
            kind = {"responseType": "ObjectReport"}
            return Reply(web_message(200, None) | {"response": body | kind if server.is_atomic else kind | body})
    return None
