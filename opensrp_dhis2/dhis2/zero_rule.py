"""What becomes of a zero: which policy sends it, and which server throws it away (before 2.43, and in silence).

It knows the one truth table of zeros, drawn in docs/zeros.md; a dropped zero counts as delivered.
"""

import re
from enum import StrEnum

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
    """Return whether an old server would drop this value, and delete what stands in its cell.

    Source: FINDINGS of the recordings, section 2.3; 2.43 stores the zero in every case.
    """
    return (
        value is not None
        and not is_zero_significant
        and value_type in NUMERIC_VALUE_TYPES
        and aggregation_type not in _KEEPS_ZEROS
        and _ZERO.fullmatch(value) is not None
    )


class Absence(StrEnum):
    """What the indicators say of a cell whose number would be zero."""

    COUNTED_ZERO = "a total of 0"
    UNIT_REPORTED = "nothing counted, the unit reported something else"
    UNIT_SILENT = "nothing counted, the unit reported nothing"


def is_zero_sent(policy: str, absence: Absence) -> bool:
    """Return whether the policy of data_sets.yaml (none, reported, assigned) sends a zero; outbox.desired does so."""
    sent = {
        "none": set[Absence](),
        "reported": {Absence.COUNTED_ZERO, Absence.UNIT_REPORTED},
        "assigned": set(Absence),
    }
    return absence in sent[policy]


def zero_fate(*, aggregation_type: str, is_zero_significant: bool, has_group_import: bool) -> str:
    """Say what a server makes of the zero of a number: `stored`, or `dropped`, which counts as delivered."""
    is_dropped = not has_group_import and is_droppable_zero(
        "0", value_type="NUMBER", aggregation_type=aggregation_type, is_zero_significant=is_zero_significant
    )
    return "dropped" if is_dropped else "stored"
