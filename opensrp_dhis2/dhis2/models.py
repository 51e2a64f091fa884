"""The value objects of DHIS2's Web API: data values, replies, server versions.

They know what the words mean; they refuse to know how they travel or what becomes of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

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

    `is_droppable_zero` says what the reply of an old server never says (see `zero_rule.is_droppable_zero`). With
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
    def has_group_import(self) -> bool:
        """True for the import engine of 2.43 and above, which takes or refuses a data set's values as one group."""
        return self.minor >= 43

    @property
    def has_password_grant(self) -> bool:
        """True while DHIS2's own OAuth 2 server gave tokens for a user name and password (to 2.41)."""
        return self.minor <= 41
