"""The checks that DHIS2 2.43 makes of a whole data set group, and those of each value.

A group check that fails refuses every row; a value check refuses its own row. Only the first kind is reported.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from opensrp_dhis2_sandbox.dhis2 import timeliness
from opensrp_dhis2_sandbox.dhis2.atomic_decode import Row
from opensrp_dhis2_sandbox.dhis2.imports import Circumstances
from opensrp_dhis2_sandbox.dhis2.metadata import DATA_WRITE, DEFAULT_OPTION_COMBO_ID, DataElement, DataSet
from opensrp_dhis2_sandbox.dhis2.options import ImportOptions
from opensrp_dhis2_sandbox.dhis2.periods import Period
from opensrp_dhis2_sandbox.dhis2.value_types import INTEGER_TYPES, value_problem

T = TypeVar("T")

MAX_COMMENT = 5000
TRUE_WORDS, FALSE_WORDS = {"true", "t", "1", "yes", "y"}, {"false", "f", "0", "no", "n"}


class RefusedGroup(Exception):
    """The whole group is refused."""

    def __init__(self, code: str, text: str, *args: object) -> None:
        super().__init__(text)
        self.code, self.text, self.objects = code, text, {"args": "-".join(str(each) for each in args)}


def detect_data_set(rows: list[Row], where: Circumstances) -> str:
    """Find the one data set to which the elements of a payload without dataSet belong."""
    elements = where.metadata.data_elements
    found = {each for row in rows if row.data_element in elements for each in elements[row.data_element].data_set_ids}
    if not found:
        shown = _shown(row.data_element for row in rows)
        raise RefusedGroup("E8003", f"Data set detection failed, found no set for data element(s): `{shown}`", shown)
    if len(found) > 1:
        shown = _shown(sorted(found))
        raise RefusedGroup("E8002", f"Data set detection failed, found multiple sets: `{shown}`", shown)
    return found.pop()


def check_group(data_set_id: str, rows: list[Row], options: ImportOptions, where: Circumstances) -> None:
    """Raise RefusedGroup for the first rule that any row breaks."""
    data_set = where.metadata.data_sets.get(data_set_id)
    if not where.user.is_superuser:
        _check_access(data_set, rows, where)
    _check_membership(data_set_id, data_set, rows, where)
    assert data_set is not None  # an unknown data set knows no element
    _check_combos(data_set, rows, where)
    if not (options["force"] and where.user.is_superuser):
        _check_timeliness(data_set, rows, where)
    _check_duplicates(rows)


def _check_access(data_set: DataSet | None, rows: list[Row], where: Circumstances) -> None:
    user, metadata = where.user, where.metadata
    if data_set and not user.may(data_set.sharing, DATA_WRITE):
        raise RefusedGroup("E8010", f"Current user cannot enter data for data set: `{data_set.id}`", data_set.id)
    known = (metadata.org_units[each] for each in _unique(row.org_unit for row in rows) if each in metadata.org_units)
    outside = [unit.id for unit in known if user.capture_unit_ids.isdisjoint(unit.path)]
    if outside:
        shown = _shown(sorted(outside))
        raise RefusedGroup("E8011", f"Current user cannot enter data for org unit(s): `{shown}`", shown)
    combo_ids = _unique(each for row in rows for each in (row.category_option_combo, row.attribute_option_combo))
    combos = (metadata.option_combos[each] for each in combo_ids if each in metadata.option_combos)
    closed = [option_id for combo in combos for option_id in metadata.unwritable_option_ids(user, combo)]
    if closed:
        shown = _shown(closed)
        raise RefusedGroup("E8012", f"Current user cannot enter data for category option(s): `{shown}`", shown)


def _check_membership(data_set_id: str, data_set: DataSet | None, rows: list[Row], where: Circumstances) -> None:
    known = data_set.combo_ids if data_set else {}
    if foreign := _shown(row.data_element for row in rows if row.data_element not in known):
        text = f"Data set {data_set_id} not usable with data element(s): `{foreign}`"
        raise RefusedGroup("E8020", text, data_set_id, foreign)
    assert data_set is not None  # it knows every element
    if foreign := _shown(sorted(row.org_unit for row in rows if row.org_unit not in data_set.org_unit_ids)):
        raise RefusedGroup(
            "E8022", f"Data set {data_set_id} not usable with org unit(s): `{foreign}`", data_set_id, foreign
        )
    if foreign := _shown(row.period.iso for row in rows if row.period.period_type != data_set.period_type):
        raise RefusedGroup(
            "E8021", f"Data set {data_set_id} not usable with period(s): `{foreign}`", data_set_id, foreign
        )


def _check_combos(data_set: DataSet, rows: list[Row], where: Circumstances) -> None:
    combos = where.metadata.option_combos

    def combo_of(option_combo_id: str) -> str | None:
        combo = combos.get(option_combo_id)
        return combo.category_combo_id if combo else None

    attribute_ids = _unique(row.attribute_option_combo or DEFAULT_OPTION_COMBO_ID for row in rows)
    if foreign := _shown(each for each in attribute_ids if combo_of(each) != data_set.category_combo_id):
        text = f"Data set {data_set.id} not usable with attribute option combo(s): `{foreign}`"
        raise RefusedGroup("E8023", text, data_set.id, foreign)
    pairs = _unique((row.data_element, row.category_option_combo) for row in rows if row.category_option_combo)
    misfits = [(element, each) for element, each in pairs if combo_of(each) != data_set.combo_ids[element]]
    if misfits:
        element_id = misfits[0][0]
        shown = _shown(each for element, each in misfits if element == element_id)
        text = f"Data set {data_set.id} + data element {element_id} not usable with category option combo(s): `{shown}`"
        raise RefusedGroup("E8024", text, data_set.id, element_id, shown)


def _check_timeliness(data_set: DataSet, rows: list[Row], where: Circumstances) -> None:
    units, combos = where.metadata.org_units, where.metadata.option_combos
    cells = _unique((row.org_unit, row.period, row.attribute_option_combo) for row in rows)
    shut = [(unit, p) for unit, p, _ in cells if not timeliness.is_org_unit_open(units[unit], p)]
    if shut:
        unit, late = shut[0][0], _late(shut)
        raise RefusedGroup("E8031", f"Untimely data entry for org unit {unit} and period(s): `{late}`", unit, late)
    if late := _shown(p.iso for unit, p, _ in cells if _is_untimely(data_set, p, unit, where)):
        text = f"Untimely data entry for data set {data_set.id} and period(s): `{late}`"
        raise RefusedGroup("E8030", text, data_set.id, late)
    given = [(unit, p, combo) for unit, p, combo in cells if combo]
    approved = [((c, u), p) for u, p, c in given if timeliness.is_approved(data_set, p, u, c, where)]
    if approved:
        (combo, unit), late = approved[0][0], _late(approved)
        place = f"attribute option combo {combo}, org unit {unit} and periods: `{late}`"
        text = f"Untimely data entry (already approved) for {place}"
        raise RefusedGroup("E8033", text, combo, unit, late)
    ended = [(combo, p) for _, p, combo in given if not timeliness.contains(combos[combo], p)]
    if ended:
        combo, late = ended[0][0], _late(ended)
        text = f"Untimely data entry for attribute option combo {combo} and period(s): `{late}`"
        raise RefusedGroup("E8032", text, combo, late)


def _late(refused: list[tuple[Any, Period]]) -> str:
    """List the periods that are refused for the same thing as the first."""
    return _shown(period.iso for thing, period in refused if thing == refused[0][0])


def _is_untimely(data_set: DataSet, period: Period, unit_id: str, where: Circumstances) -> bool:
    if data_set.input_windows:
        return not timeliness.is_input_period_open_inverted(data_set, period, where.today)
    is_ahead = timeliness.is_ahead(data_set, period, where.today) and not where.user.has("F_EDIT_EXPIRED")
    return is_ahead or timeliness.is_locked(data_set, period, unit_id, where)


def _check_duplicates(rows: list[Row]) -> None:
    seen: dict[tuple[object, ...], list[int]] = {}
    for row in rows:
        seen.setdefault(row[1:6], []).append(row.number)
    for cell, numbers in seen.items():
        if len(numbers) > 1:
            element, unit, combo, attribute_combo, period = cell
            assert isinstance(period, Period)
            key = (
                f"DataValueKey[dataElement={element}, orgUnit={unit}, categoryOptionCombo={combo or 'null'}, "
                f"attributeOptionCombo={attribute_combo or 'null'}, period={period.iso}]"
            )
            raise RefusedGroup("E8128", f"Value #{numbers} all affect the same data value: `{key}`", numbers, key)


def normalise(value: str | None, value_type: str) -> str | None:
    """Spell booleans DHIS2's way and strip a trailing .0 from integers."""
    if value is None:
        return None
    if value_type in {"BOOLEAN", "TRUE_ONLY"} and value.lower() in TRUE_WORDS:
        return "true"
    if value_type in {"BOOLEAN", "TRUE_ONLY"} and value.lower() in FALSE_WORDS:
        return "false"
    return value.removesuffix(".0") if value_type in INTEGER_TYPES else value


def value_conflict(row: Row, value: str | None, element: DataElement) -> tuple[str, str, str] | None:
    """Return code, text and args of what is wrong with a row's value or comment."""
    index = row.number
    if not value and row.is_deleted:
        return None
    if not value:
        return "E8120", f"Value #{index} value is required", f"{index}"
    problem = value_problem(value, element.value_type)
    if problem:
        text = f"Value #{index} value `{value}` is no valid {element.value_type}: {problem}"
        return "E8122", text, f"{index}-{value}-{element.value_type}-{problem}"
    if element.option_codes is not None and value not in element.option_codes:
        text = f"Value #{index} value `{value}` is no valid option for data element `{element.id}`"
        return "E8123", text, f"{index}-{value}-{element.id}"
    if row.comment and len(row.comment) > MAX_COMMENT:
        return "E8125", f"Value #{index} comment too long (max 5,000 characters)`", f"{index}-{MAX_COMMENT}"
    return None


def _unique(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))


def _shown(items: Iterable[str] | Iterator[str]) -> str:
    names = _unique(items)
    return f"[{', '.join(names)}]" if names else ""
