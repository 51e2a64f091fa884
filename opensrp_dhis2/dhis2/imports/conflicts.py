"""Which rows of a request DHIS2's conflicts speak of: the guilty ones, and those that fell with them.

It knows how far each code reaches; it refuses to say what became of the other rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from opensrp_dhis2.dhis2.imports.atomic_engine import find_guilty
from opensrp_dhis2.dhis2.imports.summary import Conflict, ImportCount
from opensrp_dhis2.dhis2.models import SentValue, ValueVerdict, Verdict
from opensrp_dhis2.messages.codes import Level, level_of


@dataclass
class Marks:
    """The rows that conflicts speak of, the ids they name, and the rows that DHIS2 counts as `ignored` for it."""

    rows: dict[int, ValueVerdict] = field(default_factory=dict)
    guilty: set[str] = field(default_factory=set)
    counted: set[int] = field(default_factory=set)

    def refuse(self, indexes: Iterable[int], code: str | None) -> None:
        self.rows.update({index: ValueVerdict(Verdict.REFUSED, code) for index in indexes})

    def block(self, indexes: Iterable[int], code: str | None) -> None:
        for index in indexes:
            self.rows.setdefault(index, ValueVerdict(Verdict.BLOCKED, code))


def mark_conflicts(conflicts: Sequence[Conflict], sent: Sequence[SentValue], counts: ImportCount) -> Marks:
    """Read the conflicts into verdicts; a code that is not known reaches no further than the rows it names."""
    marks = Marks()
    for conflict in conflicts:
        level = level_of(conflict.code) or _guess_level(conflict, counts)
        rows = [index for index in conflict.indexes if 0 <= index < len(sent)]
        if level is Level.VALUE and -1 not in conflict.indexes:
            marks.refuse(rows, conflict.code)
            marks.counted.update(rows)
        elif level is Level.REQUEST:
            marks.refuse(range(len(sent)), conflict.code)
        elif level is not None:
            _mark_group(marks, conflict, rows or list(range(len(sent))), sent)
    return marks


def _guess_level(conflict: Conflict, counts: ImportCount) -> Level | None:
    """Place an unknown code: naming many rows while nothing is counted is what a refused group looks like."""
    if -1 in conflict.indexes:
        return Level.DECODE
    if len(conflict.indexes) > 1 and counts.taken == counts.ignored == 0:
        return Level.GROUP
    return Level.VALUE if conflict.indexes else None


def _mark_group(marks: Marks, conflict: Conflict, rows: list[int], sent: Sequence[SentValue]) -> None:
    guilty_rows, ids = find_guilty(conflict, rows, sent)
    marks.guilty.update(ids)
    marks.refuse(rows if len(rows) == 1 else guilty_rows, conflict.code)
    marks.block(rows, conflict.code)
