"""An answer of DHIS2: the message around it, and whether it can be trusted, else the error that says in words why not.

It knows the ways in which DHIS2 and the proxies before it say no; it refuses to look at what was read.
Source of the words of a refused log-in: recordings 35, 35f, 36c to 36p, 64f; FINDINGS, section on tokens.
"""

import json
from dataclasses import dataclass
from typing import Any

from opensrp_dhis2.dhis2.models import Reply
from opensrp_dhis2.errors import (
    Dhis2AuthenticationError,
    Dhis2Error,
    Dhis2UnavailableError,
    MetadataNotFoundError,
)
from opensrp_dhis2.http.diagnosis import is_login_address, is_login_page, redirect_words, wants_tls
from opensrp_dhis2.http.retry import is_transient
from opensrp_dhis2.messages.codes import Reason, explain

Json = dict[str, Any]
_ACCESS_CODES = frozenset({"E1006", "E2010", "E2011", "E2012"})
_LOGIN_REFUSALS = {  # a part of its message -> the reason
    "token has expired": Reason.PAT_EXPIRED,
    "ip address is not allowed": Reason.PAT_ADDRESS,
    "http method is not allowed": Reason.PAT_METHOD,
    "Checksum validation failed": Reason.PAT_MISCOPIED,
    "token does not exist": Reason.PAT_UNKNOWN,
    "Account disabled": Reason.ACCOUNT_DISABLED,
    "Account locked": Reason.ACCOUNT_LOCKED,
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """The message around every answer of DHIS2 itself; an upstream's answer through a route has none."""

    message: str
    error_code: str | None
    response: Json


def read_json_object(reply: Reply) -> Json | None:
    """Read the body as one JSON object; None for anything else, truncated bodies included."""
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_envelope(reply: Reply) -> Envelope | None:
    """Read DHIS2's message; None when the answer is not one."""
    body = read_json_object(reply)
    if body is None or not {"httpStatus", "httpStatusCode", "status"} <= body.keys():
        return None
    response, code = body.get("response"), body.get("errorCode")
    return Envelope(
        message=str(body.get("message") or ""),
        error_code=code if isinstance(code, str) else None,
        response=response if isinstance(response, dict) else {},
    )


def login_refusal(reply: Reply) -> Reason | None:
    """Return the reason why a request was not let in; None when that is not what the answer says.

    A personal access token that is not well formed is a 400 that names the scheme.
    """
    challenge = reply.headers.get("www-authenticate", "")
    if reply.status != 401 and not (reply.status == 400 and challenge):
        return None
    body = read_json_object(reply) or {}
    message = str(body.get("message") or "")
    for words, reason in _LOGIN_REFUSALS.items():
        if words in message:
            return reason
    if challenge.startswith("Bearer"):
        return Reason.BEARER_REFUSED
    return Reason.PAT_REFUSED if challenge.startswith("ApiToken") else Reason.UNAUTHORIZED


def check_readable(reply: Reply, base_url: str, path: str) -> None:
    """Let a 200 with JSON pass and raise for everything else.

    Raises: Dhis2UnavailableError (transient); Dhis2AuthenticationError, MetadataNotFoundError, Dhis2Error (terminal).
    """
    kind, why = _fault(reply, base_url)
    if kind is not None:
        raise kind(f"DHIS2 at {base_url}, {path}: {why}", url=f"{base_url}/api/{path}", status=reply.status)


def _fault(reply: Reply, base_url: str) -> tuple[type[Dhis2Error] | None, str]:
    if 300 <= reply.status < 400:
        return _redirect_fault(reply, base_url)
    if reason := login_refusal(reply):
        words = explain(reason)
        return Dhis2AuthenticationError, f"{words.sentence} {words.remedy}"
    if reply.status == 403:
        return Dhis2AuthenticationError, "the account may not do this: give it the authority or the sharing it lacks"
    if is_transient(reply.status):
        return Dhis2UnavailableError, f"the server answered {reply.status}: look into its log, or try later"
    if reply.status >= 400:
        return _refusal(reply)
    return _content_fault(reply)


def _redirect_fault(reply: Reply, base_url: str) -> tuple[type[Dhis2Error], str]:
    location = reply.headers.get("location", "")
    if is_login_address(location):
        return Dhis2AuthenticationError, "it sends us to its login page: check DHIS2_AUTH and the credentials"
    return Dhis2Error, redirect_words(location, base_url, "DHIS2_BASE_URL")


def _refusal(reply: Reply) -> tuple[type[Dhis2Error], str]:
    if wants_tls(reply.status, reply.body):
        return Dhis2Error, "the port speaks TLS: write https:// in DHIS2_BASE_URL"
    envelope = read_envelope(reply)
    if envelope is None:
        return (
            Dhis2Error,
            f"it answered {reply.status}, not as DHIS2 does: check DHIS2_BASE_URL, the address without /api",
        )
    code = envelope.error_code
    words = explain(code) if code else None
    why = f"{code}: {words.sentence} {words.remedy}" if words else f"it answered {reply.status}"
    if code in _ACCESS_CODES:
        return Dhis2AuthenticationError, why
    return (MetadataNotFoundError if reply.status == 404 else Dhis2Error), why


def _content_fault(reply: Reply) -> tuple[type[Dhis2Error] | None, str]:
    if reply.headers.get("age", "0").strip() not in ("", "0"):  # asked for with Cache-Control: no-cache
        return Dhis2UnavailableError, "an old answer out of a cache between us and DHIS2: let it pass /api untouched"
    if not reply.body.strip():
        return (
            Dhis2AuthenticationError,
            "an empty answer, by which it hides what the account may not read: share it for read",
        )
    if is_login_page(reply.content_type, reply.body):
        return (
            Dhis2AuthenticationError,
            "a login page: check DHIS2_AUTH and the credentials, and that no other log-in stands before the server",
        )
    if "json" not in reply.content_type:
        return (
            Dhis2Error,
            f"{reply.content_type or 'no content type'} instead of JSON: check DHIS2_BASE_URL and the proxy",
        )
    try:
        json.loads(reply.body)
    except (ValueError, RecursionError):
        return Dhis2UnavailableError, "the answer breaks off or is no JSON: try again, then look into the server's log"
    return None, ""


def route_refusal(name: str, report: Json) -> str:
    """Return why DHIS2 refuses a route of this name, from its error report: pure.

    Its own words would be "rename one of them", which nobody can who does not see the other. One that has our code was
    looked for before, and not seen. Source: recordings 59, 59b.
    """
    which = report.get("errorProperty")
    if report.get("errorCode") != "E5003" or which not in ("code", "name"):
        words = explain(str(report.get("errorCode")))
        return f"{words.sentence} {words.remedy}"
    other = f"the route {report.get('mainId') or 'of an id that DHIS2 does not tell'}"
    if which == "code":
        return (
            f"{other} has this code, and our account may not see it: let its owner share it with our account (read and "
            "write), or let an administrator remove it, or write another code into routes.yaml"
        )
    return (
        f"{other} has the name {name!r}, be it one that our account may not see: write another name into "
        "routes.yaml, or let its owner rename it"
    )
