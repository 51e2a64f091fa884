"""The checks that DHIS2 2.42 and older makes of each row, in its order; the first that fails is the row's conflict.

It knows what makes a row acceptable; counting and storing are the engine's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from opensrp_dhis2_sandbox.dhis2 import timeliness
from opensrp_dhis2_sandbox.dhis2.imports import Circumstances, Json, Key, text_or_none
from opensrp_dhis2_sandbox.dhis2.metadata import DEFAULT_OPTION_COMBO_ID, DataElement, DataSet, OptionCombo
from opensrp_dhis2_sandbox.dhis2.options import ImportOptions
from opensrp_dhis2_sandbox.dhis2.periods import Period, latest_open, parse_period
from opensrp_dhis2_sandbox.dhis2.row_conflicts import REASONS, Refused
from opensrp_dhis2_sandbox.dhis2.value_types import MAX_LENGTH, value_problem

TRUE_WORDS, FALSE_WORDS = {"true", "True", "TRUE", "t", "T", "1"}, {"false", "False", "FALSE", "f", "F", "0"}


class Header(NamedTuple):
    """The members of the data value set that hold for all of its rows."""

    data_set: DataSet | None
    period: Period | None
    org_unit_id: str | None
    attribute_combo: OptionCombo | None


class Cell(NamedTuple):
    """A row with every reference resolved."""

    data_element: DataElement
    period: Period
    org_unit_id: str
    option_combo: OptionCombo
    attribute_combo: OptionCombo
    row: Json

    def sent(self, member: str) -> str | None:
        """Return what the row itself says; conflicts name that, even where the header wins."""
        return text_or_none(self.row, member)

    @property
    def key(self) -> Key:
        ids = self.option_combo.id, self.attribute_combo.id
        return Key(self.data_element.id, self.period.iso, self.org_unit_id, *ids)


@dataclass
class Checks:
    """The checks of one import; found references are kept, for rows repeat them."""

    header: Header
    options: ImportOptions
    where: Circumstances
    _ids: dict[tuple[str, str], str | None] = field(default_factory=dict)
    _combos: dict[str, OptionCombo | None] = field(default_factory=dict)

    def check(self, row: Json) -> tuple[Cell, str | None, str | None]:
        """Return a row's cell, value and comment, or raise Refused with its first conflict."""
        cell = self._resolve(row)
        self._check_hierarchy(cell)
        value, comment = self._content(cell)
        self._check_required(cell)
        self._check_strict(cell)
        stored_by = cell.sent("storedBy")
        if stored_by and len(stored_by) > 255:
            raise Refused("E7637", storedBy=stored_by)
        if not timeliness.overlaps(cell.attribute_combo, cell.period):
            raise Refused("E7638", period=cell.sent("period"), categoryOptionCombo=cell.attribute_combo.id)
        if not (self.options["force"] and self.where.user.is_superuser):
            self._check_timeliness(cell)
        return cell, value, comment

    def _resolve(self, row: Json) -> Cell:
        header = self.header
        data_element = self._data_element(text_or_none(row, "dataElement"))
        period = header.period or self._period(text_or_none(row, "period"))
        org_unit_id = header.org_unit_id or self._org_unit(text_or_none(row, "orgUnit"))
        combo = self._combo(text_or_none(row, "categoryOptionCombo"), "E7613")
        attribute_combo = header.attribute_combo or self._combo(text_or_none(row, "attributeOptionCombo"), "E7615")
        return Cell(data_element, period, org_unit_id, combo, attribute_combo, row)

    def find_id(self, collection: str, scheme: str, key: str | None) -> str | None:
        """Resolve a key under the import's id scheme; this engine trims it first."""
        if not key:
            return None
        place = collection, key
        if place not in self._ids:
            self._ids[place] = self.where.metadata.find_id(collection, self.options.scheme(scheme), key.strip())
        return self._ids[place]

    def find_combo(self, key: str) -> OptionCombo | None:
        """Find a category option combo under which the user may enter data."""
        if key not in self._combos:
            metadata, user = self.where.metadata, self.where.user
            found = self.find_id("categoryOptionCombos", "categoryOptionComboIdScheme", key)
            combo = metadata.option_combos[found] if found else None
            self._combos[key] = combo if combo and not metadata.unwritable_option_ids(user, combo) else None
        return self._combos[key]

    def _data_element(self, key: str | None) -> DataElement:
        found = self.find_id("dataElements", "dataElementIdScheme", key)
        if not found:
            raise Refused("E7610", dataElement=key)
        return self.where.metadata.data_elements[found]

    def _period(self, text: str | None) -> Period:
        period = parse_period(text.strip()) if text else None
        if period is None:
            raise Refused("E7611", period=text)
        return period

    def _org_unit(self, key: str | None) -> str:
        found = self.find_id("organisationUnits", "orgUnitIdScheme", key)
        if not found:
            raise Refused("E7612", organisationUnit=key)
        return found

    def _combo(self, key: str | None, code: str) -> OptionCombo:
        if key is None:
            return self.where.metadata.option_combos[DEFAULT_OPTION_COMBO_ID]
        combo = self.find_combo(key)
        if combo is None:
            raise Refused(code, categoryOptionCombo=key)
        return combo

    def _check_hierarchy(self, cell: Cell) -> None:
        user = self.where.user
        if user.capture_unit_ids.isdisjoint(self.where.metadata.org_units[cell.org_unit_id].path):
            raise Refused("E7617", organisationUnit=cell.sent("orgUnit"), user=user.id)

    def _content(self, cell: Cell) -> tuple[str | None, str | None]:
        element, raw, comment = cell.data_element, cell.sent("value"), cell.sent("comment")
        is_delete = self.options.strategy == "DELETE" or cell.row.get("deleted") is True
        if not raw and not comment and not is_delete:
            raise Refused("E7618", dataElement=cell.sent("dataElement"))
        value = normalise(raw, element.value_type)
        problem = value_problem(value, element.value_type) if value else None
        if problem:
            reason = REASONS.get(problem, problem)
            raise Refused("E7619", dataElement=cell.sent("dataElement"), value=problem, reason=reason)
        if comment and len(comment) > MAX_LENGTH:
            raise Refused("E7620", comment="comment_length_greater_than_max_length")
        if element.option_codes is not None and value and value not in element.option_codes:
            raise Refused("E7621", dataElement=cell.sent("dataElement"))
        return value, comment

    def _check_required(self, cell: Cell) -> None:
        if self.options["requireCategoryOptionCombo"] and not cell.row.get("categoryOptionCombo"):
            raise Refused("E7630")
        is_given = cell.row.get("attributeOptionCombo") or self.header.attribute_combo
        if self.options["requireAttributeOptionCombo"] and not is_given:
            raise Refused("E7631")

    def _check_strict(self, cell: Cell) -> None:
        options, header_set = self.options, self.header.data_set
        element_id, combo_id = cell.data_element.id, cell.option_combo.category_combo_id
        sets = list(self._sets_of(cell.data_element))
        if options["strictPeriods"] and all(cell.period.period_type != each.period_type for each in sets):
            raise Refused("E7632", period=cell.sent("period"), dataElement=element_id)
        if options["strictDataElements"] and header_set and element_id not in header_set.combo_ids:
            raise Refused("E7633", dataElement=element_id, dataSet=header_set.id)
        combo_ids = {cell.data_element.category_combo_id} | {each.combo_ids[element_id] for each in sets}
        if options["strictCategoryOptionCombos"] and combo_id not in combo_ids:
            raise Refused("E7634", categoryOptionCombo=cell.option_combo.id, dataElement=element_id)
        attribute_combo = cell.attribute_combo
        is_known = any(attribute_combo.category_combo_id == each.category_combo_id for each in sets)
        if options["strictAttributeOptionCombos"] and not is_known:
            raise Refused("E7635", categoryOptionCombo=attribute_combo.id, dataElement=element_id)
        is_assigned = any(cell.org_unit_id in each.org_unit_ids for each in sets)
        if options["strictOrganisationUnits"] and not is_assigned:
            raise Refused("E7636", organisationUnit=cell.sent("orgUnit"), dataElement=element_id)

    def _sets_of(self, element: DataElement) -> Iterator[DataSet]:
        return (self.where.metadata.data_sets[each] for each in element.data_set_ids)

    def _candidates(self, cell: Cell) -> list[DataSet]:
        """List the data sets whose clock counts: the header's, else those that fit element, unit and combo."""
        if self.header.data_set:
            return [self.header.data_set]
        combo_id = cell.attribute_combo.category_combo_id
        sets = self._sets_of(cell.data_element)
        return [each for each in sets if cell.org_unit_id in each.org_unit_ids and each.category_combo_id == combo_id]

    def _check_timeliness(self, cell: Cell) -> None:
        where, period, sent = self.where, cell.period, cell.sent("period")
        element, unit, combo_id = cell.sent("dataElement"), cell.org_unit_id, cell.attribute_combo.id
        sets = self._candidates(cell)
        if locked := [each for each in sets if timeliness.is_locked(each, period, unit, where)]:
            raise Refused.each(Refused("E7640", period=sent, dataSet=each.id) for each in locked)
        if ahead := [each for each in sets if timeliness.is_ahead(each, period, where.today)]:
            names = {"period": sent, "dataElement": element}
            latest = {
                each.id: latest_open(each.period_type, where.today, each.open_future_periods).iso for each in ahead
            }
            raise Refused.each(Refused("E7641", **names, dataSet=each.id, latest=latest[each.id]) for each in ahead)
        if approved := [each for each in sets if timeliness.is_approved(each, period, unit, combo_id, where)]:
            names = {"organisationUnit": cell.sent("orgUnit"), "period": sent, "categoryOptionCombo": combo_id}
            raise Refused.each(Refused("E7642", **names, dataSet=each.id) for each in approved)
        if shut := [each for each in sets if not timeliness.is_input_period_open(each, period, where.today)]:
            raise Refused.each(Refused("E7643", period=sent, dataSet=each.id) for each in shut)
        associated = list(self._sets_of(cell.data_element))
        if associated and not any(timeliness.is_input_period_open(each, period, where.today) for each in associated):
            raise Refused("E7644", period=sent)


def normalise(value: str | None, value_type: str) -> str | None:
    """Trim a blank value to nothing and spell booleans DHIS2's way."""
    if value is None or not value.strip():
        return None
    if value_type in {"BOOLEAN", "TRUE_ONLY"} and value in TRUE_WORDS:
        return "true"
    if value_type == "BOOLEAN" and value in FALSE_WORDS:
        return "false"
    return value
