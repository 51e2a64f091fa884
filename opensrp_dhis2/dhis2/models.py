"""The value objects of DHIS2's Web API: data values, replies, verdicts, server versions.

They know what the words mean; they refuse to know how they travel, and which verdict is true.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, NamedTuple

from opensrp_dhis2.errors import ConfigurationError


class ValueKey(NamedTuple):
    """The cell of a data value: five ids."""

    data_element: str
    period: str
    org_unit: str
    category_option_combo: str
    attribute_option_combo: str


@dataclass(frozen=True, slots=True)
class DataValue:
    """One cell and what stands in it, or what should; `is_deleted` is DHIS2's soft delete."""

    data_element: str
    period: str
    org_unit: str
    category_option_combo: str
    attribute_option_combo: str
    value: str | None
    is_deleted: bool = False

    @property
    def key(self) -> ValueKey:
        return ValueKey(
            self.data_element,
            self.period,
            self.org_unit,
            self.category_option_combo,
            self.attribute_option_combo,
        )


@dataclass(frozen=True, slots=True)
class SentValue:
    """A data value as it stood in a request, in the order of the payload.

    `is_droppable_zero` says what the reply of an old server never says (see `row_engine.is_droppable_zero`). With
    importStrategy=DELETE every value is sent with `is_deleted`.
    """

    data_value: DataValue
    is_droppable_zero: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered, unread; header names are lower case."""

    status: int
    body: bytes
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class Verdict(StrEnum):
    """What became of one sent value."""

    STORED = "stored"  # DHIS2 holds it now
    UNCHANGED = "unchanged"  # DHIS2 held it already
    DELETED = "deleted"  # asked to go, and gone
    DROPPED = "dropped"  # an insignificant zero that the row engine throws away by rule: as delivered as it can be
    REFUSED = "refused"  # not stored, and sending the same again would not help
    BLOCKED = "blocked"  # not stored for a cause outside the value; it may go again when the cause is gone
    UNKNOWN = "unknown"  # the reply does not say: read back


@dataclass(frozen=True, slots=True)
class ValueVerdict:
    """The verdict on one sent value; `code` is DHIS2's or one of `codes.Reason`, None where nothing needs a reason."""

    verdict: Verdict
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Interpretation:
    """One reply, read: a verdict for each sent value in order, and what the caller does next.

    `cause` is the one code that speaks for the whole request, if there is one. `guilty` are the ids (or row numbers,
    as text) that DHIS2 named; the rows to leave out are those refused, since an id may be guilty in one row only.
    `is_user_cause`: the account or its rights, to be reported once and not tried again.
    """

    rows: tuple[ValueVerdict, ...]
    cause: str | None = None
    guilty: frozenset[str] = frozenset()
    is_user_cause: bool = False

    def tally(self) -> dict[Verdict, int]:
        """Count the values by verdict, leaving out verdicts that none has."""
        return dict(Counter(row.verdict for row in self.rows))


@dataclass(frozen=True, slots=True, order=True)
class ServerVersion:
    """A DHIS2 version: 2.41.9.1 is minor 41, patch (9, 1)."""

    minor: int
    patch: tuple[int, ...] = ()
    text: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> "ServerVersion":
        """Read a version as /api/system/info gives it, also 2.44-SNAPSHOT. Raises: ConfigurationError (terminal)."""
        found = re.match(r"2\.(\d+)((?:\.\d+)*)", text)
        if not found:
            raise ConfigurationError(f"{text[:40]!r} is not a version of DHIS2; versions 2.40 to 2.44 are known")
        return cls(int(found[1]), tuple(int(part) for part in found[2].split(".")[1:]), text)

    def __str__(self) -> str:
        return self.text or f"2.{self.minor}" + "".join(f".{part}" for part in self.patch)

    @property
    def import_engine(self) -> Literal["row", "atomic"]:
        """Return which engine imports data values: row by row before 2.43, a data set's values as one group since."""
        return "atomic" if self.minor >= 43 else "row"
