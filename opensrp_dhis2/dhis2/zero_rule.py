"""The zero that servers before 2.43 throw away: neither stored, nor counted, nor called a conflict.

It knows the rule and nothing else; whether a zero is sent at all is data_sets.yaml's word.
"""

import re

NUMERIC_VALUE_TYPES = frozenset(
    {
        "NUMBER",
        "INTEGER",
        "INTEGER_POSITIVE",
        "INTEGER_NEGATIVE",
        "INTEGER_ZERO_OR_POSITIVE",
        "PERCENTAGE",
        "UNIT_INTERVAL",
    }
)
_KEEPS_ZEROS = frozenset({"AVERAGE", "AVERAGE_SUM_ORG_UNIT"})
_ZERO = re.compile(r"0(\.0*)?")


def is_droppable_zero(value: str | None, *, value_type: str, aggregation_type: str, is_zero_significant: bool) -> bool:
    """Tell whether an old server would drop this value, and delete what stands in its cell.

    Source: FINDINGS of the recordings, section 2.3; 2.43 stores the zero in every case.
    """
    return (
        value is not None
        and not is_zero_significant
        and value_type in NUMERIC_VALUE_TYPES
        and aggregation_type not in _KEEPS_ZEROS
        and _ZERO.fullmatch(value) is not None
    )
