"""Says whether a text is a value of a DHIS2 value type, by the rules of DHIS2's own validation.

It knows texts and types; which type a data element has is told to it.
"""

import re
from collections.abc import Callable
from datetime import date, datetime

MAX_LENGTH = 50_000
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?", re.ASCII)
INTEGER = re.compile(r"0|-?[1-9]\d*", re.ASCII)
ZERO = re.compile(r"-?0(\.0*)?", re.ASCII)
TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d", re.ASCII)
UID = re.compile(r"[A-Za-z][A-Za-z0-9]{10}", re.ASCII)
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PHONE = re.compile(r"[0-9+()#.\s/xt-]{6,50}")
COORDINATE = re.compile(r"\[-?\d+(\.\d+)?,\s*-?\d+(\.\d+)?\]", re.ASCII)

INTEGER_TYPES = frozenset({"INTEGER", "INTEGER_POSITIVE", "INTEGER_NEGATIVE", "INTEGER_ZERO_OR_POSITIVE"})
NUMERIC_TYPES = INTEGER_TYPES | {"NUMBER", "UNIT_INTERVAL", "PERCENTAGE"}


def value_problem(value: str, value_type: str) -> str | None:
    """Name what is wrong with a value (DHIS2's own key, such as value_not_integer), or None."""
    if len(value) > MAX_LENGTH:
        return "value_length_greater_than_max_length"
    rule = RULES.get(value_type)
    if rule is None or not value.strip():
        return None
    is_valid, key = rule
    return None if is_valid(value) else key


def is_zero(value: str, value_type: str) -> bool:
    """Return whether a value of a numeric type is zero."""
    return value_type in NUMERIC_TYPES and ZERO.fullmatch(value) is not None


def is_uid(text: str) -> bool:
    """Return whether a text has the shape of a DHIS2 identifier."""
    return UID.fullmatch(text) is not None


def _is_number(value: str) -> bool:
    return len(value) < 250 and NUMBER.fullmatch(value) is not None


def _is_integer(value: str, low: int = -(2**31), high: int = 2**31 - 1) -> bool:
    return INTEGER.fullmatch(value) is not None and len(value) < 12 and low <= int(value) <= high


def _is_between(value: str, low: float, high: float) -> bool:
    return _is_number(value) and low <= float(value) <= high


def _is_date(value: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", value)) and date.fromisoformat(value) is not None
    except ValueError:
        return False


def _is_datetime(value: str) -> bool:
    try:
        return "T" in value and datetime.fromisoformat(value) is not None
    except ValueError:
        return False


RULES: dict[str, tuple[Callable[[str], bool], str]] = {
    "NUMBER": (_is_number, "value_not_numeric"),
    "INTEGER": (_is_integer, "value_not_integer"),
    "INTEGER_POSITIVE": (lambda value: _is_integer(value, 1), "value_not_positive_integer"),
    "INTEGER_NEGATIVE": (lambda value: _is_integer(value, high=-1), "value_not_negative_integer"),
    "INTEGER_ZERO_OR_POSITIVE": (lambda value: _is_integer(value, 0), "value_not_zero_or_positive_integer"),
    "PERCENTAGE": (lambda value: _is_between(value, 0, 100), "value_not_percentage"),
    "UNIT_INTERVAL": (lambda value: _is_between(value, 0, 1), "value_not_unit_interval"),
    "BOOLEAN": (lambda value: value in {"true", "false"}, "value_not_bool"),
    "TRUE_ONLY": (lambda value: value == "true", "value_not_true_only"),
    "DATE": (_is_date, "value_not_valid_date"),
    "AGE": (_is_date, "value_not_valid_age"),
    "DATETIME": (_is_datetime, "value_not_valid_datetime"),
    "TIME": (lambda value: TIME.fullmatch(value) is not None, "value_not_valid_time"),
    "LETTER": (lambda value: len(value) == 1 and value.isalpha(), "value_not_valid_letter"),
    "EMAIL": (lambda value: EMAIL.fullmatch(value) is not None, "value_not_valid_email"),
    "PHONE_NUMBER": (lambda value: PHONE.fullmatch(value) is not None, "value_not_valid_phone_number"),
    "URL": (lambda value: value.startswith(("http://", "https://")), "value_not_url"),
    "USERNAME": (lambda value: 3 <= len(value) <= 140, "value_not_username"),
    "COORDINATE": (lambda value: COORDINATE.fullmatch(value) is not None, "value_not_coordinate"),
    "ORGANISATION_UNIT": (is_uid, "value_not_valid_org_unit_uid"),
    "FILE_RESOURCE": (is_uid, "value_not_valid_file_resource_uid"),
    "IMAGE": (is_uid, "value_not_valid_image_uid"),
}
