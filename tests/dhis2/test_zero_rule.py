"""The zero rule of old servers."""

import pytest

from opensrp_dhis2.dhis2.zero_rule import is_droppable_zero


@pytest.mark.parametrize(
    ("value", "value_type", "aggregation_type", "is_significant", "expected"),
    [
        ("0", "INTEGER_ZERO_OR_POSITIVE", "SUM", False, True),
        ("0.0", "NUMBER", "SUM", False, True),
        ("0.", "NUMBER", "SUM", False, True),
        ("0", "INTEGER_ZERO_OR_POSITIVE", "SUM", True, False),
        ("0", "NUMBER", "AVERAGE", False, False),
        ("0", "NUMBER", "AVERAGE_SUM_ORG_UNIT", False, False),
        ("0", "BOOLEAN", "NONE", False, False),
        ("0", "TEXT", "NONE", False, False),
        ("10", "INTEGER", "SUM", False, False),
        ("00", "INTEGER", "SUM", False, False),
        ("-0", "NUMBER", "SUM", False, False),
        (None, "INTEGER", "SUM", False, False),
    ],
)
def test_an_old_server_drops_only_insignificant_numeric_zeros_that_are_not_averaged(
    value: str | None, value_type: str, aggregation_type: str, is_significant: bool, expected: bool
) -> None:
    found = is_droppable_zero(
        value, value_type=value_type, aggregation_type=aggregation_type, is_zero_significant=is_significant
    )
    assert found is expected
