"""The counters of the import engine before 2.43, and what each row must have been for them to add up.

It knows how the ways of many cells are put together to one sum; it refuses to judge where two readings fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from opensrp_dhis2.dhis2.imports.old_cell import LEFT_ALONE, NOTHING, UNCLEAR, Count, Rules, Way, is_blank, list_ways
from opensrp_dhis2.dhis2.imports.summary import ImportCount
from opensrp_dhis2.dhis2.imports.verdict import RowVerdict, Verdict
from opensrp_dhis2.dhis2.models import SentValue, ValueKey
from opensrp_dhis2.messages.codes import Reason

# Inserts wait until 200,000 characters of SQL are together, about 98 a row and its text; half of it, to be certain.
_FLUSH_LENGTH, _ROW_LENGTH = 100_000, 98
_MOST_SUMS = 2_000  # a request more tangled than this is not worth more than a read-back
_HELD = {Verdict.STORED, Verdict.UNCHANGED}


@dataclass
class _Lone:
    """The rows that have their cell to themselves, by the kinds whose ways need no list."""

    values: list[int] = field(default_factory=list)  # imported, updated or ignored
    zeros: list[int] = field(default_factory=list)  # imported, deleted or not counted
    deletions: list[int] = field(default_factory=list)  # imported, ignored or deleted
    zero_deletions: list[int] = field(default_factory=list)  # the same, or not counted

    def take(self, index: int, row: SentValue) -> bool:
        """Take a row in, unless it is of no such kind."""
        if row.data_value.is_deleted:
            (self.zero_deletions if row.is_droppable_zero else self.deletions).append(index)
        elif row.is_droppable_zero:
            self.zeros.append(index)
        elif not is_blank(row.data_value.value):
            self.values.append(index)
        else:
            return False
        return True

    def revivals(self, left: Count) -> list[int]:
        """List how many zeros may have been imported if these rows alone make up the counts; empty if they cannot."""
        if min(left) < 0 or left.updated > len(self.values):
            return []
        found = []
        for revived in range(min(len(self.zeros), left.imported) + 1):
            over = sum(left) - len(self.values) - len(self.deletions) - revived  # zeros that count as deleted, or ...
            fewest = max(0, over - len(self.zero_deletions))  # ... deletions of a zero that count at all
            most = min(over, len(self.zeros) - revived, left.deleted)
            if fewest <= most and left.deleted <= len(self.deletions) + over:
                found.append(revived)
        return found

    def judge(self, readings: Sequence[tuple[Count, int]], rules: Rules) -> dict[int, RowVerdict]:
        """Judge these rows by every reading: what is left for them to count, and how many zeros were imported."""
        is_untouched = all(left.updated == 0 and left.imported == revived for left, revived in readings)
        rows = dict.fromkeys(self.values, RowVerdict(Verdict.UNCHANGED if is_untouched else Verdict.STORED))
        rows |= dict.fromkeys((*self.deletions, *self.zero_deletions), RowVerdict(Verdict.DELETED))
        revivals = {revived for _, revived in readings}
        if revivals == {0}:
            zero = RowVerdict(Verdict.DROPPED)
        else:  # all were imported, or some
            zero = RowVerdict(Verdict.STORED) if revivals == {len(self.zeros)} else UNCLEAR
        rows |= dict.fromkeys(self.zeros, zero)
        if rules.is_create_only:
            rows |= dict.fromkeys((*self.zeros, *self.zero_deletions), LEFT_ALONE)
        return rows


def judge_old_counts(
    counts: ImportCount, unexplained: int, left: Sequence[int], sent: Sequence[SentValue], strategy: str | None
) -> dict[int, RowVerdict] | None:
    """Judge the rows that no conflict speaks of; None when the counters do not add up.

    Every way in which the rows of each cell may have gone is tried. Only those that give the counters together are
    believed, and a row is judged when all of them say the same of it.
    Args: `unexplained` is `ignored` less the rows that were refused.
    """
    length = sum(_ROW_LENGTH + len(row.data_value.value or "") for row in sent)
    rules = Rules(strategy, may_flush=length > _FLUSH_LENGTH)
    cells = rows_by_cell(left, sent).values()
    lone = _Lone()
    tangled = [rows for rows in cells if len(rows) > 1 or not lone.take(rows[0], sent[rows[0]])]
    ways = [list_ways([sent[index] for index in rows], rules) for rows in tangled]
    total = Count(counts.imported, counts.updated, unexplained, counts.deleted)
    sums = _add_up(ways, total)
    readings = [(rest, revived) for one in sums[-1] for rest in [total.less(one)] for revived in lone.revivals(rest)]
    if not readings:
        return None
    judged = lone.judge(readings, rules)
    fitting = {total.less(rest) for rest, _ in readings}
    for rows, options, before in zip(reversed(tangled), reversed(ways), reversed(sums[:-1]), strict=True):
        pairs = [(one, way) for one in before for way in options if one.plus(way.counted) in fitting]
        judged |= _agreed(rows, {way for _, way in pairs})
        fitting = {one for one, _ in pairs}
    return judged


def rows_by_cell(indexes: Sequence[int], sent: Sequence[SentValue]) -> dict[ValueKey, list[int]]:
    """Group rows by the cell they write."""
    cells: dict[ValueKey, list[int]] = {}
    for index in indexes:
        cells.setdefault(sent[index].data_value.key, []).append(index)
    return cells


def _add_up(ways: Sequence[set[Way]], total: Count) -> list[set[Count]]:
    """Return what the first cells may count together, for none of them, one, two and so on; nothing if it is too much."""
    sums = [{NOTHING}]
    for options in ways:
        counts = {way.counted for way in options}
        reached = {one.plus(count) for one in sums[-1] for count in counts}
        fitting = {one for one in reached if min(total.less(one)) >= 0}
        sums.append(fitting if len(fitting) <= _MOST_SUMS else set())
    return sums


def _agreed(rows: Sequence[int], ways: set[Way]) -> dict[int, RowVerdict]:
    """Judge each row of a cell by what all of its ways say."""
    judged = {}
    for place, index in enumerate(rows):
        said = {way.verdicts[place] for way in ways}
        if len(said) == 1:
            judged[index] = said.pop()
        elif {row.verdict for row in said} <= _HELD:
            judged[index] = RowVerdict(Verdict.STORED)
        else:
            judged[index] = RowVerdict(Verdict.UNKNOWN, Reason.DUPLICATE_KEY) if len(rows) > 1 else UNCLEAR
    return judged
