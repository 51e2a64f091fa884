"""What an answer without an import summary says of the values that were sent: proxies, login pages, server errors.

It knows which of them are certain to have stored nothing; it refuses to guess about the others.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from opensrp_dhis2.dhis2.imports.summary import Envelope, read_envelope, read_json_object, read_summary
from opensrp_dhis2.dhis2.imports.verdict import Interpretation, RowVerdict, Verdict
from opensrp_dhis2.dhis2.models import Reply, SentValue
from opensrp_dhis2.dhis2.periods import is_period
from opensrp_dhis2.dhis2.sign_in import refused_sign_in
from opensrp_dhis2.messages.codes import Reason, concerns_account

# answered before anything was read, whoever wrote the page
_UNHEARD = {
    403: Reason.FORBIDDEN,
    413: Reason.TOO_LARGE,
    429: Reason.TOO_MANY_REQUESTS,
    **dict.fromkeys((301, 302, 303, 307, 308), Reason.REDIRECTED),
}


_SAID_BY_ANYBODY = (413, 429, 503)  # and true whoever says it


def foreign_answer(reply: Reply) -> str | None:
    """Describe an answer to an import that is no word of DHIS2: whether it was heard is not known. None: it is one.

    An error below 500 is DHIS2's only in its own form; what comes with 500 may be its container's.
    Source: recordings 25d, 35, 35f, 36g.
    """
    status = reply.status
    if status in _SAID_BY_ANYBODY or (status >= 500 and status not in (502, 504)) or read_summary(reply) is not None:
        return None
    if 400 <= status < 500 and (read_envelope(reply) is not None or _is_token_error(reply)):
        return None
    if 300 <= status < 400:
        host = urlsplit(reply.headers.get("location", "")).hostname
        return f"{status}, a redirect" + (f" to {host}" if host else "")
    what = reply.content_type.partition(";")[0] if reply.body.strip() else "without content"
    return f"{status} {what or 'without a content type'}"


def _is_token_error(reply: Reply) -> bool:
    return "www-authenticate" in reply.headers and "error" in (read_json_object(reply) or {})


def interpret_failure(reply: Reply, sent: Sequence[SentValue]) -> Interpretation:
    """Judge every sent value by an answer that is no import summary."""
    unheard = refused_sign_in(reply) or _UNHEARD.get(reply.status)
    if unheard:
        is_retryable = unheard in (Reason.TOO_LARGE, Reason.TOO_MANY_REQUESTS)
        return _everything(Verdict.BLOCKED, unheard, sent, is_retryable=is_retryable)
    if not reply.body.strip():
        return _everything(Verdict.UNKNOWN, Reason.EMPTY_REPLY, sent, is_retryable=reply.status >= 500)
    envelope = read_envelope(reply)
    if envelope is None:
        return _everything(Verdict.UNKNOWN, Reason.NOT_JSON, sent, is_retryable=not 400 <= reply.status < 500)
    return _interpret_envelope(reply.status, envelope, sent)


def _interpret_envelope(status: int, envelope: Envelope, sent: Sequence[SentValue]) -> Interpretation:
    if 400 <= status < 500 and "importCount" not in envelope.response:
        return _everything(Verdict.REFUSED, envelope.error_code or Reason.BAD_REQUEST, sent, is_retryable=False)
    if status == 500 and '"group" is null' in envelope.message:
        return _refuse(Reason.UNREADABLE_PERIOD, sent, [not is_period(value.data_value.period) for value in sent])
    if status == 500 and envelope.message.startswith("Path `$"):
        return _refuse(Reason.UNQUOTED_MEMBER, sent, [False for _ in sent])
    reason = Reason.SERVER_ERROR if status >= 500 else Reason.NOT_A_SUMMARY
    return _everything(Verdict.UNKNOWN, reason, sent, is_retryable=True)


def _refuse(reason: Reason, sent: Sequence[SentValue], is_guilty: Sequence[bool]) -> Interpretation:
    """A permanent failure over one row: refuse that row if it can be told, and block the rest; nothing was stored."""
    rows = tuple(
        RowVerdict(Verdict.REFUSED if guilty or len(sent) == 1 else Verdict.BLOCKED, reason) for guilty in is_guilty
    )
    return Interpretation(rows, cause=reason)


def _everything(verdict: Verdict, reason: str, sent: Sequence[SentValue], *, is_retryable: bool) -> Interpretation:
    rows = (RowVerdict(verdict, reason),) * len(sent)
    return Interpretation(rows, cause=reason, is_user_cause=concerns_account(reason), is_retryable=is_retryable)
