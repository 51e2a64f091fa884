"""The counters of the import engine before 2.43, and what each row must have been for them to add up.

It knows its three habits: the unchanged count as ignored, insignificant zeros are thrown away, and of several rows for
one cell some are not counted. It refuses to judge where two readings fit.
"""

from collections.abc import Sequence

from opensrp_dhis2.dhis2.codes import Reason
from opensrp_dhis2.dhis2.import_summary import ImportCount
from opensrp_dhis2.dhis2.models import SentValue, ValueKey
from opensrp_dhis2.dhis2.verdict import RowVerdict, Verdict

CREATE_ONLY = frozenset({"CREATE", "NEW"})
_UNCLEAR = RowVerdict(Verdict.UNKNOWN, Reason.COUNTS_DISAGREE)


def judge_old_counts(
    counts: ImportCount, unexplained: int, left: Sequence[int], sent: Sequence[SentValue], strategy: str | None
) -> dict[int, RowVerdict] | None:
    """Judge the rows that no conflict speaks of; None when the counters do not add up.

    A live row counts once, unless its cell came before it in the request. A zero counts as deleted over a live value,
    as imported over a deleted one (which it revives, as a stored zero), and not at all over nothing. A deletion may
    show in any counter, and one of an absent zero in none.
    Args: `unexplained` is `ignored` less the rows that were refused.
    """
    zeros = [index for index in left if sent[index].is_droppable_zero and not sent[index].data_value.is_deleted]
    deletions = [index for index in left if sent[index].data_value.is_deleted]
    others = {*zeros, *deletions}
    live = [index for index in left if index not in others]
    at_least = len(rows_by_cell(live, sent))
    counted_deletions = sum(not sent[index].is_droppable_zero for index in deletions)
    seen = counts.imported + counts.updated + unexplained
    in_sum = seen + counts.deleted
    if unexplained < 0 or seen < at_least or not at_least + counted_deletions <= in_sum <= len(left):
        return None
    is_untouched = unexplained == len(live) and counts.imported + counts.updated == 0
    rows = dict.fromkeys(live, RowVerdict(Verdict.UNCHANGED if is_untouched else Verdict.STORED))
    rows |= dict.fromkeys(deletions, RowVerdict(Verdict.DELETED))
    rows |= dict.fromkeys(
        zeros, _zero(strategy, seen, at_least, surplus=seen - len(live) - len(deletions) - len(zeros))
    )
    standing = 0 if seen == at_least else -1 if seen == len(live) and not others else None
    rows |= _judge_shared_cells(rows_by_cell(left, sent), sent, others, standing)
    return rows | dict.fromkeys((index for index in live if _is_blank(sent[index])), _UNCLEAR)


def rows_by_cell(indexes: Sequence[int], sent: Sequence[SentValue]) -> dict[ValueKey, list[int]]:
    """Group rows by the cell they write."""
    cells: dict[ValueKey, list[int]] = {}
    for index in indexes:
        cells.setdefault(sent[index].data_value.key, []).append(index)
    return cells


def _zero(strategy: str | None, seen: int, at_least: int, *, surplus: int) -> RowVerdict:
    """Say what became of the zeros, when the counters say the same of all of them."""
    if strategy in CREATE_ONLY:
        return RowVerdict(Verdict.REFUSED, Reason.OTHER_STRATEGY)
    if seen == at_least:  # none was imported
        return RowVerdict(Verdict.DROPPED)
    return RowVerdict(Verdict.STORED) if surplus == 0 else _UNCLEAR  # all were imported, or some


def _judge_shared_cells(
    cells: dict[ValueKey, list[int]], sent: Sequence[SentValue], others: set[int], standing: int | None
) -> dict[int, RowVerdict]:
    """Say which of several rows for one cell stands: the first in a new cell, the last in a known one."""
    rows = {}
    for indexes in cells.values():
        if len(indexes) == 1 or (not others & {*indexes} and len({sent[index].data_value for index in indexes}) == 1):
            continue
        if standing is None or others & {*indexes}:
            rows.update(dict.fromkeys(indexes, RowVerdict(Verdict.UNKNOWN, Reason.DUPLICATE_KEY)))
        else:
            stands = sent[indexes[standing]].data_value
            lost = [index for index in indexes if sent[index].data_value != stands]
            rows.update(dict.fromkeys(lost, RowVerdict(Verdict.REFUSED, Reason.DUPLICATE_KEY)))
    return rows


def _is_blank(value: SentValue) -> bool:
    """Tell a blank text, which is stored as nothing and counted like any other value."""
    return value.data_value.value is not None and not value.data_value.value.strip()
