"""Which rows of a request DHIS2's conflicts speak of: the guilty ones, and those that fell with them.

It knows how far each code reaches and where 2.43 hides the ids; it refuses to say what became of the other rows.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from opensrp_dhis2.dhis2.imports.summary import Conflict, ImportCount
from opensrp_dhis2.dhis2.imports.verdict import RowVerdict, Verdict
from opensrp_dhis2.dhis2.models import DataValue, SentValue
from opensrp_dhis2.messages.codes import Level, level_of

Column = Callable[[DataValue], str | None]

_COLUMNS: dict[str, Column] = {
    "data_element": lambda value: value.data_element,
    "period": lambda value: value.period,
    "org_unit": lambda value: value.org_unit,
    "category_option_combo": lambda value: value.category_option_combo,
    "attribute_option_combo": lambda value: value.attribute_option_combo,
}
# What a group code names in its args, in order; the last one is a list in brackets. None: nothing that a row carries.
_GROUP_ARGS: dict[str, tuple[str | None, ...]] = {
    "E8003": ("data_element",),
    "E8011": ("org_unit",),
    "E8012": (None,),
    "E8020": (None, "data_element"),
    "E8021": (None, "period"),
    "E8022": (None, "org_unit"),
    "E8023": (None, "attribute_option_combo"),
    "E8024": (None, "data_element", "category_option_combo"),
    "E8025": ("attribute_option_combo", "org_unit"),
    "E8030": (None, "period"),
    "E8031": ("org_unit", "period"),
    "E8032": ("attribute_option_combo", "period"),
    "E8033": ("attribute_option_combo", "org_unit", "period"),
}
_DECODE_COLUMN = {
    **dict.fromkeys(("E8102", "E8103", "E8104"), "data_element"),
    **dict.fromkeys(("E8105", "E8106", "E8107"), "org_unit"),
    **dict.fromkeys(("E8108", "E8109"), "category_option_combo"),
    **dict.fromkeys(("E8110", "E8111"), "attribute_option_combo"),
    "E8100": "period",
}
_BRACKETS = re.compile(r"(?:(?P<before>.*)-)?\[(?P<list>[^\]]*)\]")
_ROW_NUMBER = re.compile(r"(\d{1,9})(?:-|$)")


@dataclass
class Marks:
    """The rows that conflicts speak of, the ids they name, and the rows that DHIS2 counts as `ignored` for it."""

    rows: dict[int, RowVerdict] = field(default_factory=dict)
    guilty: set[str] = field(default_factory=set)
    counted: set[int] = field(default_factory=set)

    def refuse(self, indexes: Iterable[int], code: str | None) -> None:
        self.rows.update({index: RowVerdict(Verdict.REFUSED, code) for index in indexes})

    def block(self, indexes: Iterable[int], code: str | None) -> None:
        for index in indexes:
            self.rows.setdefault(index, RowVerdict(Verdict.BLOCKED, code))


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
    guilty_rows, ids = _find_guilty(conflict, rows, sent)
    marks.guilty.update(ids)
    marks.refuse(rows if len(rows) == 1 else guilty_rows, conflict.code)
    marks.block(rows, conflict.code)


def _find_guilty(conflict: Conflict, rows: list[int], sent: Sequence[SentValue]) -> tuple[list[int], set[str]]:
    code, args = conflict.code or "", conflict.args or ""
    if code == "E8128":
        return _listed_rows(args, rows)
    if code in _GROUP_ARGS:
        return _rows_with_ids(_GROUP_ARGS[code], args, rows, sent)
    return _rows_like_the_named(code, args, rows, sent) if -1 in conflict.indexes else ([], set())


def _listed_rows(args: str, rows: list[int]) -> tuple[list[int], set[str]]:
    """Read `[0, 6]-DataValueKey[...]`: the numbers of the rows that share a cell."""
    numbers = {int(number) for number in re.findall(r"\d{1,9}", args.partition("]")[0])}
    guilty = [row for row in rows if row in numbers]
    return guilty, {str(row) for row in guilty}


def _rows_with_ids(
    columns: tuple[str | None, ...], args: str, rows: list[int], sent: Sequence[SentValue]
) -> tuple[list[int], set[str]]:
    """Read `<id>-<id>-[<id>, <id>]`, where every part but the list is one id, and find the rows with all of them."""
    found = _BRACKETS.fullmatch(args)
    if not found:
        return [], set()
    before = found["before"].split("-") if found["before"] else []
    if len(before) != len(columns) - 1:
        return [], set()
    listed = {one.strip() for one in found["list"].split(",")}
    wanted = [
        (_COLUMNS[column], values)
        for column, values in zip(columns, [*({one} for one in before), listed], strict=True)
        if column
    ]
    guilty = [row for row in rows if wanted and all(of(sent[row].data_value) in values for of, values in wanted)]
    return guilty, listed


def _rows_like_the_named(
    code: str, args: str, rows: list[int], sent: Sequence[SentValue]
) -> tuple[list[int], set[str]]:
    """Read `<row number>-...`, and take every row with the same fault: DHIS2 names only the first."""
    found = _ROW_NUMBER.match(args)
    named = int(found[1]) if found else -1
    if named not in rows:
        return [], set()
    if code not in _DECODE_COLUMN:
        return [named], {str(named)}
    of = _COLUMNS[_DECODE_COLUMN[code]]
    fault = of(sent[named].data_value)
    return [row for row in rows if of(sent[row].data_value) == fault], {fault or str(named)}
