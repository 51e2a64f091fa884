"""What the rows for one cell may have done in an import before 2.43: every way that its rules allow.

It knows the rules of one cell, and what each way adds to the counters; it refuses to choose between them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from opensrp_dhis2.dhis2.imports.verdict import RowVerdict, Verdict
from opensrp_dhis2.dhis2.models import SentValue
from opensrp_dhis2.messages.codes import Reason

CREATE_ONLY = frozenset({"CREATE", "NEW"})
UNCLEAR = RowVerdict(Verdict.UNKNOWN, Reason.COUNTS_DISAGREE)
_BEATEN = RowVerdict(Verdict.REFUSED, Reason.DUPLICATE_KEY)
LEFT_ALONE = RowVerdict(Verdict.REFUSED, Reason.OTHER_STRATEGY)
_BOOLEAN_WORDS = {**dict.fromkeys(("true", "t", "1"), "true"), **dict.fromkeys(("false", "f", "0"), "false")}


class Count(NamedTuple):
    """What rows add to the four counters."""

    imported: int = 0
    updated: int = 0
    ignored: int = 0
    deleted: int = 0

    def less(self, other: "Count") -> "Count":
        return Count(*(one - another for one, another in zip(self, other, strict=True)))

    def plus(self, other: "Count") -> "Count":
        return Count(*(one + another for one, another in zip(self, other, strict=True)))


class _Kind(Enum):
    ABSENT = auto()
    PENDING = auto()  # inserted, but still hidden from the rows that follow, until the inserts are flushed
    LIVE = auto()
    GONE = auto()
    PENDING_GONE = auto()


class _Standing(NamedTuple):
    """What stands in the cell; a value that no row sends is ''."""

    kind: _Kind
    value: str | None = None


_ABSENT, _GONE, _PENDING_GONE = _Standing(_Kind.ABSENT), _Standing(_Kind.GONE), _Standing(_Kind.PENDING_GONE)
_FLUSHED = {_Kind.PENDING: _Kind.LIVE, _Kind.PENDING_GONE: _Kind.GONE}
NOTHING = Count()
_IMPORTED, _UPDATED, _IGNORED, _DELETED = Count(1), Count(0, 1), Count(0, 0, 1), Count(0, 0, 0, 1)
_Step = tuple[Count, _Standing]


class Way(NamedTuple):
    """One way in which the rows of a cell may have gone: what they count, and what became of each."""

    counted: Count
    verdicts: tuple[RowVerdict, ...]


@dataclass(frozen=True)
class Rules:
    """What holds for the whole request: its import strategy, and whether it is so long that inserts are flushed."""

    strategy: str | None
    may_flush: bool

    @property
    def is_create_only(self) -> bool:
        return self.strategy in CREATE_ONLY


def list_ways(rows: Sequence[SentValue], rules: Rules) -> set[Way]:
    """List every way for the rows of one cell, in the order of the payload, whatever stood there before."""
    before = {_ABSENT, _GONE, _Standing(_Kind.LIVE, "")}
    before |= {_Standing(_Kind.LIVE, row.data_value.value) for row in rows}
    reached: set[_Step] = {(NOTHING, standing) for standing in before}
    for row in rows:
        reached = {
            (count.plus(added), after) for count, standing in reached for added, after in _steps(row, standing, rules)
        }
    return {Way(count, tuple(_verdict(row, count, stands, rules) for row in rows)) for count, stands in reached}


def _steps(row: SentValue, standing: _Standing, rules: Rules) -> Iterator[_Step]:
    """Yield what one row may do; a row that the strategy leaves out is not among those asked about."""
    if row.is_droppable_zero and (rules.is_create_only or standing.kind in {_Kind.ABSENT, *_FLUSHED}):
        yield NOTHING, standing
    elif standing.kind is _Kind.LIVE:
        yield from _steps_over_value(row, standing)
    else:
        yield from _steps_over_none(row, standing)
    if rules.may_flush and standing.kind in _FLUSHED:
        yield from _steps(row, standing._replace(kind=_FLUSHED[standing.kind]), rules)


def _steps_over_value(row: SentValue, standing: _Standing) -> Iterator[_Step]:
    if row.data_value.is_deleted or row.is_droppable_zero:
        yield _DELETED, _GONE
        return
    if _may_equal(row.data_value.value, standing.value):
        yield _IGNORED, standing
    yield _UPDATED, standing._replace(value=row.data_value.value)  # also for another comment beside the same value


def _steps_over_none(row: SentValue, standing: _Standing) -> Iterator[_Step]:
    value, is_deletion = row.data_value.value, row.data_value.is_deleted
    if is_blank(value):
        yield _IGNORED, standing
        if is_deletion:
            return
    if standing.kind in _FLUSHED:  # a second new row of a cell is not even counted
        yield NOTHING, standing
    elif standing.kind is _Kind.GONE:
        yield _IMPORTED, _GONE if is_deletion else _Standing(_Kind.LIVE, value)
    else:
        yield _IMPORTED, _PENDING_GONE if is_deletion else _Standing(_Kind.PENDING, value)


def _verdict(row: SentValue, count: Count, standing: _Standing, rules: Rules) -> RowVerdict:
    is_there = standing.kind in {_Kind.LIVE, _Kind.PENDING}
    if row.is_droppable_zero and rules.is_create_only:
        return LEFT_ALONE
    if row.data_value.is_deleted:
        return _BEATEN if is_there else RowVerdict(Verdict.DELETED)
    if not is_there:
        return RowVerdict(Verdict.DROPPED) if row.is_droppable_zero else _BEATEN
    value = row.data_value.value
    if value != standing.value:
        return UNCLEAR if _may_equal(value, standing.value) else _BEATEN
    if value is not None and is_blank(value):  # counted like any other value, and stored as nothing
        return UNCLEAR
    is_untouched = count.imported + count.updated + count.deleted == 0
    return RowVerdict(Verdict.UNCHANGED if is_untouched else Verdict.STORED)


def is_blank(value: str | None) -> bool:
    """Tell a text that is stored as nothing."""
    return value is None or not value.strip()


def _may_equal(one: str | None, another: str | None) -> bool:
    """Return whether two texts may be one value to DHIS2, which spells booleans its own way and trims blanks."""
    if is_blank(one) or is_blank(another):
        return is_blank(one) and is_blank(another)
    first, second = str(one).lower(), str(another).lower()
    return one == another or (first in _BOOLEAN_WORDS and _BOOLEAN_WORDS[first] == _BOOLEAN_WORDS.get(second))
