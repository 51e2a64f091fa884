"""The import engine of 2.43 and above, which takes or refuses a data set's values as one group.

It knows where a refused group's conflict hides the ids and rows it is about, and what counters prove.
"""

import re
from collections.abc import Callable, Sequence

from opensrp_dhis2.dhis2.imports.summary import Conflict, ImportCount
from opensrp_dhis2.dhis2.models import DataValue, SentValue, ValueVerdict, Verdict

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


def judge(counts: ImportCount, left: Sequence[int], sent: Sequence[SentValue]) -> dict[int, ValueVerdict] | None:
    """Judge the rows that no conflict speaks of: every one must be counted as written, else None.

    So is judged, too, whatever is not certain to come from the row engine.
    Args: `counts` with `ignored` less the rows that were refused.
    """
    if counts.taken != len(left) or counts.ignored != 0:
        return None
    done = {True: ValueVerdict(Verdict.DELETED), False: ValueVerdict(Verdict.STORED)}
    return {index: done[sent[index].data_value.is_deleted] for index in left}


def find_guilty(conflict: Conflict, rows: list[int], sent: Sequence[SentValue]) -> tuple[list[int], set[str]]:
    """Return the rows of a refused group that its conflict names, and the ids (or row numbers) that it names."""
    code, args = conflict.code or "", conflict.args or ""
    if code in _GROUP_ARGS:
        return _rows_with_ids(_GROUP_ARGS[code], args, rows, sent)
    return _rows_like_the_named(code, args, rows, sent) if -1 in conflict.indexes else ([], set())


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
    listed = {item.strip() for item in found["list"].split(",")}
    wanted = [
        (_COLUMNS[column], values)
        for column, values in zip(columns, [*({item} for item in before), listed], strict=True)
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
