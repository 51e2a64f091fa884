"""What a reply to POST /api/dataValueSets says of each value that was sent: pure, for both import engines.

It believes counters that add up and nothing else; what does not add up is unknown, and a read-back must settle it.
It reads replies to requests as the ledger makes them: each cell once, importStrategy CREATE_AND_UPDATE or DELETE, no
blank text. Of a cell that stands in a request twice every value is unknown.
"""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from opensrp_dhis2.dhis2.imports import atomic_engine, row_engine
from opensrp_dhis2.dhis2.imports.conflicts import Marks, mark_conflicts
from opensrp_dhis2.dhis2.imports.summary import ImportCount, ImportSummary, read_summary
from opensrp_dhis2.dhis2.models import Interpretation, Reply, SentValue, ServerVersion, ValueVerdict, Verdict
from opensrp_dhis2.dhis2.periods import is_period
from opensrp_dhis2.dhis2.reply import Envelope, login_refusal, read_envelope, read_json_object
from opensrp_dhis2.messages.codes import Reason, concerns_account

_FLUSH_FAILED = "Failed to flush BatchHandler"
_NOT_READ = {  # answered before anything was read, whoever wrote the page
    403: Reason.FORBIDDEN,
    413: Reason.TOO_LARGE,
    429: Reason.TOO_MANY_REQUESTS,
    **dict.fromkeys((301, 302, 303, 307, 308), Reason.REDIRECTED),
}
_TRUE_FROM_ANY_SENDER = (413, 429, 503)


def interpret(reply: Reply, sent: Sequence[SentValue], server_version: ServerVersion | None) -> Interpretation:
    """Judge every sent value by what the server answered.

    Args: `sent` in the order of the payload; `server_version` None if it is not known. A wrong version never makes a
    value stored: the reading of the row engine also needs the mark that only that engine leaves in its replies.
    Returns: one verdict a value, in the same order.
    Source: the recordings' FINDINGS, sections 2, 4 and 7.
    """
    summary = read_summary(reply)
    if summary is None or reply.status not in (200, 409):
        return _interpret_failure(reply, sent)
    if summary.counts is None:
        return _same_for_all(Verdict.UNKNOWN, Reason.NOT_A_SUMMARY, sent)
    is_row_engine = (
        server_version is not None and server_version.import_engine == "row" and summary.description is not None
    )
    marks = mark_conflicts(summary.conflicts, sent, summary.counts)
    row_engine.mark_rejected(
        marks, summary.rejected_indexes, sent, is_explained=is_row_engine and _is_believable(summary)
    )
    return _judge_unmarked(summary, summary.counts, marks, sent, is_row_engine)


def _judge_unmarked(
    summary: ImportSummary, counts: ImportCount, marks: Marks, sent: Sequence[SentValue], is_row_engine: bool
) -> Interpretation:
    left = [index for index in range(len(sent)) if index not in marks.rows]
    if counts.taken > len(left):  # it counts more than can be: then its refusals mean nothing either
        return _same_for_all(Verdict.UNKNOWN, Reason.COUNTS_DISAGREE, sent)
    unexplained = replace(counts, ignored=counts.ignored - len(marks.counted))
    judged = None
    if _is_believable(summary) and len({sent[index].data_value.key for index in left}) == len(left):
        judged = (row_engine if is_row_engine else atomic_engine).judge(unexplained, left, sent)
    if judged is None:
        judged = dict.fromkeys(left, ValueVerdict(Verdict.UNKNOWN, _doubt(summary, unexplained)))
    rows = marks.rows | judged
    ordered = tuple(rows[index] for index in range(len(sent)))
    codes = {row.code for row in ordered}
    return Interpretation(
        ordered,
        cause=codes.pop() if len(codes) == 1 else None,
        guilty=frozenset(marks.guilty),
        is_user_cause=any(concerns_account(row.code) for row in ordered),
    )


def _is_believable(summary: ImportSummary) -> bool:
    """Return whether counters may speak for the rows that no conflict names: an import that failed counts nothing right.

    Its zeros are what the row engine counts when it drops zeros, and some of its rows may be stored all the same.
    Source: recordings 49n, and in all of them a WARNING has its conflicts.
    """
    return summary.status == "SUCCESS" or (summary.status == "WARNING" and bool(summary.conflicts))


def _doubt(summary: ImportSummary, unexplained: ImportCount) -> Reason:
    """Name the way in which a summary does not add up."""
    if summary.description and _FLUSH_FAILED in summary.description:
        return Reason.FLUSH_FAILED
    if not _is_believable(summary) and not summary.conflicts:
        return Reason.IMPORT_FAILED
    if unexplained.taken == 0 and unexplained.ignored > 0:
        return Reason.WRITE_LOST
    is_nothing = summary.counts is not None and summary.counts.taken == summary.counts.ignored == 0
    return Reason.NOTHING_COUNTED if is_nothing else Reason.COUNTS_DISAGREE


# Answers without an import summary: proxies, login pages, server errors.


def foreign_answer(reply: Reply) -> str | None:
    """Describe an answer to an import that is no word of DHIS2: whether it was heard is not known. None: it is one.

    An error below 500 is DHIS2's only in its own form; what comes with 500 may be its container's.
    Source: recordings 25d, 35, 35f, 36g.
    """
    status = reply.status
    if status in _TRUE_FROM_ANY_SENDER or (status >= 500 and status not in (502, 504)):
        return None
    if read_summary(reply) is not None:
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


def _interpret_failure(reply: Reply, sent: Sequence[SentValue]) -> Interpretation:
    """Judge every sent value by an answer that is no import summary."""
    not_read = login_refusal(reply) or _NOT_READ.get(reply.status)
    if not_read:
        return _same_for_all(Verdict.BLOCKED, not_read, sent)
    if not reply.body.strip():
        return _same_for_all(Verdict.UNKNOWN, Reason.EMPTY_REPLY, sent)
    envelope = read_envelope(reply)
    if envelope is None:
        return _same_for_all(Verdict.UNKNOWN, Reason.NOT_JSON, sent)
    return _interpret_envelope(reply.status, envelope, sent)


def _interpret_envelope(status: int, envelope: Envelope, sent: Sequence[SentValue]) -> Interpretation:
    if 400 <= status < 500 and "importCount" not in envelope.response:
        return _same_for_all(Verdict.REFUSED, envelope.error_code or Reason.BAD_REQUEST, sent)
    if status == 500 and '"group" is null' in envelope.message:
        return _refuse(Reason.UNREADABLE_PERIOD, sent, [not is_period(value.data_value.period) for value in sent])
    if status == 500 and envelope.message.startswith("Path `$"):
        return _refuse(Reason.UNQUOTED_MEMBER, sent, [False for _ in sent])
    return _same_for_all(Verdict.UNKNOWN, Reason.SERVER_ERROR if status >= 500 else Reason.NOT_A_SUMMARY, sent)


def _refuse(reason: Reason, sent: Sequence[SentValue], is_guilty: Sequence[bool]) -> Interpretation:
    """A permanent failure over one row: refuse that row if it can be told, and block the rest; nothing was stored."""
    rows = tuple(
        ValueVerdict(Verdict.REFUSED if guilty or len(sent) == 1 else Verdict.BLOCKED, reason) for guilty in is_guilty
    )
    return Interpretation(rows, cause=reason)


def _same_for_all(verdict: Verdict, reason: str, sent: Sequence[SentValue]) -> Interpretation:
    rows = (ValueVerdict(verdict, reason),) * len(sent)
    return Interpretation(rows, cause=reason, is_user_cause=concerns_account(reason))
