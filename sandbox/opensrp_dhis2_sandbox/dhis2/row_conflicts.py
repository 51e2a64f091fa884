"""The conflicts that DHIS2 2.42 and older reports: code, text, property and the objects at fault.

It knows their wording; when one is due is decided in the checks.
"""

from collections.abc import Iterable
from typing import NamedTuple

from opensrp_dhis2_sandbox.dhis2.imports import Json

# code -> (property, text); the names in braces are the kinds of the objects at fault.
TEXTS: dict[str, tuple[str | None, str]] = {
    "E7600": ("dataSet", "Data set not found or not accessible: `{dataSet}`"),
    "E7601": ("dataSet", "User does not have write access for DataSet: `{dataSet}`"),
    "E7602": ("dataSet", "A valid dataset is required"),
    "E7603": ("orgUnit", "Org unit not found or not accessible: `{organisationUnit}`"),
    "E7604": ("attributeOptionCombo", "Attribute option combo not found or not accessible: `{categoryOptionCombo}`"),
    "E7610": ("dataElement", "Data element not found or not accessible: `{dataElement}`"),
    "E7611": ("period", "Period not valid: `{period}`"),
    "E7612": ("orgUnit", "Organisation unit not found or not accessible: `{organisationUnit}`"),
    "E7613": (
        "categoryOptionCombo",
        "Category option combo not found or not accessible for writing data: `{categoryOptionCombo}`",
    ),
    "E7615": (
        "attributeOptionCombo",
        "Attribute option combo not found or not accessible for writing data: `{categoryOptionCombo}`",
    ),
    "E7617": ("orgUnit", "Organisation unit: `{organisationUnit}` not in hierarchy of current user: `{user}`"),
    "E7618": ("value", "Data value or comment not specified for data element: `{dataElement}`"),
    "E7619": ("value", "Value must match value type of data element `{dataElement}`: `{reason}`"),
    "E7620": ("comment", "Invalid comment: Comment is greater than max length"),
    "E7621": ("value", "Data value is not a valid option of the data element option set: `{dataElement}`"),
    "E7630": ("categoryOptionCombo", "Category option combo is required but is not specified"),
    "E7631": ("attributeOptionCombo", "Attribute option combo is required but is not specified"),
    "E7632": (None, "Period type of period: `{period}` not valid for data element: `{dataElement}`"),
    "E7633": ("dataElement", "Data element: `{dataElement}` is not part of dataset(s): `{dataSet}`"),
    "E7634": (
        "categoryOptionCombo",
        "Category option combo: `{categoryOptionCombo}` must be part of category combo of data element: "
        "`{dataElement}`",
    ),
    "E7635": (
        "attributeOptionCombo",
        "Attribute option combo: `{categoryOptionCombo}` must be part of category combo of data sets of data element: "
        "`{dataElement}`",
    ),
    "E7636": (
        "orgUnit",
        "Data element: `{dataElement}` must be assigned through data sets to organisation unit: `{organisationUnit}`",
    ),
    "E7637": ("storedBy", "Invalid storedBy: {storedBy}"),
    "E7638": (
        "period",
        "Period: `{period}` is not within date range of attribute option combo: `{categoryOptionCombo}`",
    ),
    "E7640": ("period", "Current date is past expiry days for period: `{period}`  and data set: `{dataSet}`"),
    "E7641": (
        "period",
        "Period: `{period}` is after latest open future period: `{latest}` for data element: `{dataElement}` "
        "and data set: `{dataSet}`",
    ),
    "E7642": (
        None,
        "Data already approved for data set: `{dataSet}` period: `{period}` org unit: `{organisationUnit}` "
        "attribute option combo: `{categoryOptionCombo}`",
    ),
    "E7643": ("period", "Period: `{period}` is not open for this data set at this time: `{dataSet}`"),
    "E7644": ("period", "Period: `{period}` does not conform to the open periods of associated data sets"),
}
# Only some value problems have a sentence of their own; the others show their key.
REASONS = {
    "value_length_greater_than_max_length": "Data value is greater than max length",
    "value_not_bool": "Data value is not a boolean",
    "value_not_integer": "Data value is not an integer",
    "value_not_numeric": "Data value is not numeric",
    "value_not_percentage": "Data value is not a percentage",
    "value_not_true_only": "Data value is not true",
}
WORDING_ONLY = {"reason", "latest"}


class Conflict(NamedTuple):
    """Why a row is refused; `objects` name what is at fault by kind."""

    code: str
    text: str
    objects: dict[str, str]
    first: str | None

    def json(self) -> Json:
        """Write the conflict as the wire has it, without indexes."""
        body: Json = {} if self.first is None else {"object": self.first}
        body |= {"objects": self.objects, "value": self.text, "errorCode": self.code}
        prop = TEXTS[self.code][0]
        return body | ({"property": prop} if prop else {})


class Refused(Exception):
    """A header or a row that is refused, with its conflicts; an object that was not sent is None."""

    def __init__(self, code: str, **objects: str | None) -> None:
        shown = {kind: "null" if each is None else each for kind, each in objects.items()}
        text = TEXTS[code][1].format(**shown)
        super().__init__(text)
        kept = {kind: each for kind, each in objects.items() if each is not None and kind not in WORDING_ONLY}
        self.conflicts = [Conflict(code, text, kept, next(iter(objects.values()), None))]

    @classmethod
    def each(cls, all_refused: Iterable["Refused"]) -> "Refused":
        """Join refusals for the same row into one that carries all their conflicts."""
        first, *others = all_refused
        first.conflicts += [conflict for other in others for conflict in other.conflicts]
        return first
