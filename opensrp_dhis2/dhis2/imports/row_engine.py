"""The import engine before 2.43, which takes or refuses row by row: what each row must have been for its counters.

It knows what a row of each kind may add to the counters; it refuses to judge where two readings fit.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from opensrp_dhis2.dhis2.imports.conflicts import Marks
from opensrp_dhis2.dhis2.imports.summary import ImportCount
from opensrp_dhis2.dhis2.models import SentValue, ValueVerdict, Verdict
from opensrp_dhis2.dhis2.periods import is_period
from opensrp_dhis2.messages.codes import Reason

NUMERIC_VALUE_TYPES = frozenset(
    {
        "NUMBER", "INTEGER", "INTEGER_POSITIVE", "INTEGER_NEGATIVE", "INTEGER_ZERO_OR_POSITIVE", "PERCENTAGE",
        "UNIT_INTERVAL",
    }
)  # fmt: skip
_KEEPS_ZEROS = frozenset({"AVERAGE", "AVERAGE_SUM_ORG_UNIT"})
_ZERO = re.compile(r"0(\.0*)?")


def is_droppable_zero(value: str | None, *, value_type: str, aggregation_type: str, is_zero_significant: bool) -> bool:
    """Return whether this engine drops a value in silence, and deletes what stands in its cell (docs/zeros.md): pure.

    Source: FINDINGS of the recordings, section 2.3; 2.43 stores the zero in every case.
    """
    return (
        value is not None
        and not is_zero_significant
        and value_type in NUMERIC_VALUE_TYPES
        and aggregation_type not in _KEEPS_ZEROS
        and _ZERO.fullmatch(value) is not None
    )


def mark_rejected(
    marks: Marks, rejected_indexes: Sequence[int], sent: Sequence[SentValue], *, is_explained: bool
) -> None:
    """Place the rows that were rejected without a word: this engine so leaves a deletion of what is not there.

    It also refuses a good period while another request is creating it: such a row may go again.
    Args: `is_explained` when the reply is this engine's, and of an import that did not fail.
    """
    for index, row in marks.rows.items():
        if row.code == "E7611" and is_period(sent[index].data_value.period):
            marks.rows[index] = ValueVerdict(Verdict.BLOCKED, row.code)
    rejected = {index for index in rejected_indexes if 0 <= index < len(sent)} - marks.rows.keys()
    for index in rejected:
        is_gone = is_explained and sent[index].data_value.is_deleted
        marks.rows[index] = (
            ValueVerdict(Verdict.DELETED) if is_gone else ValueVerdict(Verdict.UNKNOWN, Reason.UNEXPLAINED_REJECTION)
        )
    marks.counted |= rejected


def judge(counts: ImportCount, left: Sequence[int], sent: Sequence[SentValue]) -> dict[int, ValueVerdict] | None:
    """Judge the rows that no conflict speaks of; None when the counters do not add up.

    Args: `counts` with `ignored` less the rows that were refused; `left` are rows of different cells.
    """
    lone = _Lone()
    for index in left:
        if not lone.take(index, sent[index]):
            return None
    revivals = lone.revivals(counts)
    return lone.judge(counts, revivals) if revivals else None


@dataclass
class _Lone:
    """The rows, each alone in its cell, by kind."""

    values: list[int] = field(default_factory=list)  # imported, updated or ignored
    zeros: list[int] = field(default_factory=list)  # imported, deleted or not counted
    deletions: list[int] = field(default_factory=list)  # imported, ignored or deleted
    zero_deletions: list[int] = field(default_factory=list)  # the same, or not counted

    def take(self, index: int, row: SentValue) -> bool:
        """Take a row in, unless it is a blank text, which is stored as nothing however it is counted."""
        if row.data_value.is_deleted:
            (self.zero_deletions if row.is_droppable_zero else self.deletions).append(index)
        elif row.is_droppable_zero:
            self.zeros.append(index)
        elif (row.data_value.value or "").strip():
            self.values.append(index)
        else:
            return False
        return True

    def revivals(self, counts: ImportCount) -> list[int]:
        """List how many zeros may have been imported, into deleted cells; empty if the counts cannot be."""
        if counts.ignored < 0 or counts.updated > len(self.values):
            return []
        found = []
        for revived in range(min(len(self.zeros), counts.imported) + 1):
            over = counts.taken + counts.ignored - len(self.values) - len(self.deletions) - revived
            fewest = max(0, over - len(self.zero_deletions))  # zeros that count as deleted, or deletions of a zero
            most = min(over, len(self.zeros) - revived, counts.deleted)
            if fewest <= most and counts.deleted <= len(self.deletions) + over:
                found.append(revived)
        return found

    def judge(self, counts: ImportCount, revivals: Sequence[int]) -> dict[int, ValueVerdict]:
        """Judge every row by what all readings of the counts say of it."""
        is_untouched = counts.updated == 0 and list(revivals) == [counts.imported]
        rows = dict.fromkeys(self.values, ValueVerdict(Verdict.UNCHANGED if is_untouched else Verdict.STORED))
        rows |= dict.fromkeys((*self.deletions, *self.zero_deletions), ValueVerdict(Verdict.DELETED))
        if list(revivals) == [0]:
            zero = ValueVerdict(Verdict.DROPPED)
        elif list(revivals) == [len(self.zeros)]:
            zero = ValueVerdict(Verdict.STORED)
        else:
            zero = ValueVerdict(Verdict.UNKNOWN, Reason.COUNTS_DISAGREE)
        return rows | dict.fromkeys(self.zeros, zero)
