"""What a reply to POST /api/dataValueSets says of each value that was sent: pure, for both import engines.

It believes counters that add up and nothing else; what does not add up is unknown, and a read-back must settle it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from opensrp_dhis2.dhis2.imports.conflicts import Marks, mark_conflicts
from opensrp_dhis2.dhis2.imports.failed_reply import interpret_failure
from opensrp_dhis2.dhis2.imports.old_cell import CREATE_ONLY
from opensrp_dhis2.dhis2.imports.row_engine import judge_old_counts, rows_by_cell
from opensrp_dhis2.dhis2.imports.summary import ImportCount, ImportSummary, read_summary
from opensrp_dhis2.dhis2.imports.verdict import Interpretation, RowVerdict, Verdict
from opensrp_dhis2.dhis2.models import Reply, SentValue, ServerVersion
from opensrp_dhis2.dhis2.periods import is_period
from opensrp_dhis2.messages.codes import Reason, concerns_account

_FLUSH_FAILED = "Failed to flush BatchHandler"
_TRANSIENT = frozenset({Reason.FLUSH_FAILED, Reason.WRITE_LOST, Reason.COUNTS_DISAGREE, Reason.NOTHING_COUNTED})


def interpret(
    reply: Reply,
    sent: Sequence[SentValue],
    server_version: ServerVersion | None,
    *,
    asked: Mapping[str, str] = MappingProxyType({}),
) -> Interpretation:
    """Judge every sent value by what the server answered.

    Args: `sent` in the order of the payload; `server_version` None if it is not known. A wrong version never makes a
    value stored: the reading of the older engine also needs the mark that only that engine leaves in its replies.
    `asked`: `dryRun` and `importStrategy` of the request, where the reply may not show them (2.41 hides a dryRun that
    stood in the body; recorded replies lack their options).
    Returns: one verdict a row, in the same order.
    Source: the recordings' FINDINGS, sections 2, 4 and 7.
    """
    summary = read_summary(reply)
    if summary is None or reply.status not in (200, 409):
        return interpret_failure(reply, sent)
    counts = summary.counts
    if counts is None:
        rows = (RowVerdict(Verdict.UNKNOWN, Reason.NOT_A_SUMMARY),) * len(sent)
        return Interpretation(rows, cause=Reason.NOT_A_SUMMARY, is_retryable=True)
    is_dry_run = summary.is_dry_run or asked.get("dryRun") == "true"
    summary = replace(summary, is_dry_run=is_dry_run, strategy=asked.get("importStrategy", summary.strategy))
    is_old_engine = (
        server_version is not None and not server_version.has_group_import and summary.description is not None
    )
    marks = mark_conflicts(summary.conflicts, sent, counts)
    _spare_raced_periods(marks, sent)
    _mark_rejected(marks, summary, sent, is_old_engine)
    if is_dry_run:
        marks.block(range(len(sent)), Reason.DRY_RUN)
    return _settle(summary, counts, marks, sent, is_old_engine)


def _spare_raced_periods(marks: Marks, sent: Sequence[SentValue]) -> None:
    """An old server refuses a good period while another request is creating it: such a row may go again."""
    for index, row in marks.rows.items():
        if row.code == "E7611" and is_period(sent[index].data_value.period):
            marks.rows[index] = replace(row, verdict=Verdict.BLOCKED)


def _mark_rejected(marks: Marks, summary: ImportSummary, sent: Sequence[SentValue], is_old_engine: bool) -> None:
    """Place the rows that were rejected without a word: on old servers the import strategy left them alone."""
    rejected = {index for index in summary.rejected_indexes if 0 <= index < len(sent)} - marks.rows.keys()
    for index in rejected:
        if not is_old_engine or not _is_believable(summary):
            marks.rows[index] = RowVerdict(Verdict.UNKNOWN, Reason.UNEXPLAINED_REJECTION)
        elif sent[index].data_value.is_deleted and summary.strategy not in CREATE_ONLY:
            marks.rows[index] = RowVerdict(Verdict.DELETED)
        else:
            marks.rows[index] = RowVerdict(Verdict.REFUSED, Reason.OTHER_STRATEGY)
    marks.counted |= rejected


def _settle(
    summary: ImportSummary, counts: ImportCount, marks: Marks, sent: Sequence[SentValue], is_old_engine: bool
) -> Interpretation:
    left = [index for index in range(len(sent)) if index not in marks.rows]
    rows = dict(marks.rows)
    if not summary.is_dry_run and counts.taken > len(left):
        # it counts more than can be: then its refusals mean nothing either
        rows = dict.fromkeys(range(len(sent)), RowVerdict(Verdict.UNKNOWN, Reason.COUNTS_DISAGREE))
    else:
        unexplained = counts.ignored - len(marks.counted)
        if not _is_believable(summary):
            judged = None
        elif is_old_engine:
            judged = judge_old_counts(counts, unexplained, left, sent, summary.strategy)
        else:
            judged = _judge_strictly(counts, unexplained, left, sent)
        doubt = RowVerdict(Verdict.UNKNOWN, _doubt(summary, counts, unexplained))
        rows |= dict.fromkeys(left, doubt) if judged is None else judged
    ordered = tuple(rows[index] for index in range(len(sent)))
    return Interpretation(
        ordered,
        cause=_cause(ordered),
        guilty=frozenset(marks.guilty),
        counts=counts,
        is_user_cause=any(concerns_account(row.code) for row in ordered),
        is_retryable=any(
            (row.verdict is Verdict.UNKNOWN and row.code in _TRANSIENT)
            or (row.verdict is Verdict.BLOCKED and row.code == "E7611")
            for row in ordered
        ),
    )


def _is_believable(summary: ImportSummary) -> bool:
    """Return whether counters may speak for the rows that no conflict names: an import that failed counts nothing right.

    Its zeros are what an old server counts when it drops zeros, and some of its rows may be stored all the same.
    Source: recordings 49n, and in all of them a WARNING has its conflicts.
    """
    return summary.status == "SUCCESS" or (summary.status == "WARNING" and bool(summary.conflicts))


def _cause(rows: Sequence[RowVerdict]) -> str | None:
    codes = {row.code for row in rows}
    return codes.pop() if len(codes) == 1 else None


def _judge_strictly(
    counts: ImportCount, unexplained: int, left: Sequence[int], sent: Sequence[SentValue]
) -> dict[int, RowVerdict] | None:
    """2.43 and above, and whatever is not certain to be older: every row left must be counted as written."""
    if counts.taken != len(left) or unexplained != 0:
        return None
    rows = {}
    for indexes in rows_by_cell(left, sent).values():
        contents = {sent[index].data_value for index in indexes}
        verdict = Verdict.DELETED if sent[indexes[0]].data_value.is_deleted else Verdict.STORED
        done = RowVerdict(verdict) if len(contents) == 1 else RowVerdict(Verdict.UNKNOWN, Reason.DUPLICATE_KEY)
        rows.update(dict.fromkeys(indexes, done))
    return rows


def _doubt(summary: ImportSummary, counts: ImportCount, unexplained: int) -> Reason:
    """Name the way in which a summary does not add up."""
    if summary.description and _FLUSH_FAILED in summary.description:
        return Reason.FLUSH_FAILED
    if not _is_believable(summary) and not summary.conflicts:
        return Reason.IMPORT_FAILED
    if counts.taken == 0 and unexplained > 0:
        return Reason.WRITE_LOST
    return Reason.NOTHING_COUNTED if counts.taken == counts.ignored == 0 else Reason.COUNTS_DISAGREE
