"""Why DHIS2 does not let us in, read from the words with which it says no.

It knows those words of both engines; what to do about each stands with the other reasons in codes.py.
Source: recordings 35, 35f, 36c to 36p, 64f; FINDINGS, section on tokens.
"""

from opensrp_dhis2.dhis2.imports.summary import read_json_object
from opensrp_dhis2.dhis2.models import Reply
from opensrp_dhis2.messages.codes import Reason

_SAID = {  # a part of its message -> the reason
    "token has expired": Reason.PAT_EXPIRED,
    "ip address is not allowed": Reason.PAT_ADDRESS,
    "http method is not allowed": Reason.PAT_METHOD,
    "Checksum validation failed": Reason.PAT_MISCOPIED,
    "token does not exist": Reason.PAT_UNKNOWN,
    "Account disabled": Reason.ACCOUNT_DISABLED,
    "Account locked": Reason.ACCOUNT_LOCKED,
}


def refused_sign_in(reply: Reply) -> Reason | None:
    """Return the reason why a request was not let in; None when that is not what the answer says.

    A personal access token that is not well formed is a 400 that names the scheme.
    """
    challenge = reply.headers.get("www-authenticate", "")
    if reply.status != 401 and not (reply.status == 400 and challenge):
        return None
    body = read_json_object(reply) or {}
    message = str(body.get("message") or "")
    for said, reason in _SAID.items():
        if said in message:
            return reason
    if challenge.startswith("Bearer"):
        return Reason.BEARER_REFUSED
    return Reason.PAT_REFUSED if challenge.startswith("ApiToken") else Reason.UNAUTHORIZED
