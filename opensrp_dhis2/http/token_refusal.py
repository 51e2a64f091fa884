"""What the answer of an OAuth 2 token endpoint that gives no token means, and which setting mends it.

It knows the error codes of RFC 6749, Keycloak's and DHIS2's words beside them; nothing of an answer but its code is told.
"""

import re

from opensrp_dhis2.http.oauth import NoToken

_MAY_NOT = re.compile(r"service account|public client|grant type|not enabled|not allowed", re.IGNORECASE)
_GRANTS = {"client_credentials": "client_credentials", "password": "a password", "refresh_token": "a refresh token"}


def remedy(answer: NoToken, prefix: str, grant: str) -> str:
    """Say what is wrong and what to do: pure.

    Args: `prefix` is FHIR or DHIS2, as the settings begin; `grant` is the grant_type that was sent.
    """
    client = f"{prefix}_CLIENT_ID and {prefix}_CLIENT_SECRET"
    if answer.code in ("invalid_client", "unauthorized_client"):
        if _MAY_NOT.search(answer.words):
            return f"the client may not get a token for {_GRANTS[grant]}: {_allow(prefix, grant)}"
        return f"the client is not known there, is disabled, or its secret is another one: check {client}"
    if answer.code == "invalid_grant":
        return _refused_grant(prefix, grant)
    if answer.code == "unsupported_grant_type":
        return f"this endpoint gives no token for {_GRANTS[grant]}: {_allow(prefix, grant)}"
    if "HTTPS required" in answer.words:
        return f"it wants https: write {prefix}_TOKEN_URL with https"
    if answer.status == 404:
        return (
            f"there is no token endpoint at this address: check {prefix}_TOKEN_URL (in Keycloak it names the realm: "
            "/realms/<realm>/protocol/openid-connect/token)"
        )
    return (
        f"check {prefix}_TOKEN_URL, {client}, and that the client may use {grant}"
        " (in Keycloak: a confidential client with a service account)"
    )


def _refused_grant(prefix: str, grant: str) -> str:
    if grant == "password":
        return f"user name or password is wrong, or the account is disabled: check {prefix}_USERNAME, {prefix}_PASSWORD"
    if grant == "refresh_token":
        return (
            f"the refresh token has expired, was used before or was revoked: let a person log in once more and set "
            f"{prefix}_TOKEN to the new one"
        )
    return f"the account of the client is disabled or locked: look at the client of {prefix}_CLIENT_ID"


def _allow(prefix: str, grant: str) -> str:
    if grant == "client_credentials":
        return (
            f"make {prefix}_CLIENT_ID a confidential client with a service account (in Keycloak), or take another one"
        )
    return f"allow it in the client of {prefix}_CLIENT_ID, or use {prefix}_AUTH=pat, which always works"
