"""What to do when the FHIR server, or the gateway before it, does not let a request in.

It knows our ways to prove who we are, and that a token carries its own end (RFC 7519).
"""

import base64
import binascii
import json
from datetime import UTC, datetime

import httpx

from opensrp_dhis2.fhir.auth import BearerAuth
from opensrp_dhis2.http.oauth import TokenAuth


def sign_in_remedy(auth: httpx.Auth | None, status: int, token: str, now: datetime) -> str:
    """Say which setting to look at, by the way in which we came and the answer: pure.

    Args: `token` is the bearer token that was refused, if one was sent; it is read, and never told.
    """
    if status == 403:
        return (
            "it knows us, and we may not read this: give the account the roles for it (behind the gateway GET_<TYPE>)"
        )
    if status != 401:
        return "check FHIR_AUTH and its settings, then FHIR_BASE_URL"
    if auth is None:
        return "it wants credentials, and FHIR_AUTH is none: set FHIR_AUTH and its settings"
    if isinstance(auth, BearerAuth):
        end = _end(token)
        if end and end <= now:
            return (
                f"the token of FHIR_TOKEN has expired on {end:%Y-%m-%d at %H:%M} UTC: get a new one, or use "
                "FHIR_AUTH=client_credentials, which renews it"
            )
        return (
            "it does not accept the token of FHIR_TOKEN, which has expired or is another realm's: get a new one, or use "
            "FHIR_AUTH=client_credentials"
        )
    if isinstance(auth, TokenAuth):
        return (
            "it does not accept a fresh token of FHIR_TOKEN_URL: the server trusts another issuer, so check the realm in "
            "FHIR_TOKEN_URL, or the issuer in the gateway's settings"
        )
    return (
        "user name or password is wrong, or the account is disabled: check FHIR_USERNAME and FHIR_PASSWORD of FHIR_AUTH"
    )


def _end(token: str) -> datetime | None:
    """Read when a token ends, from its own claim; None for one that does not say so."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4), b"-_"))
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError, binascii.Error, RecursionError):
        return None
