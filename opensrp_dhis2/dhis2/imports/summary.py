"""The import summary that DHIS2 writes, read leniently: what is absent or odd is None.

It knows the members of both import engines; it refuses to judge them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opensrp_dhis2.dhis2.models import Reply
from opensrp_dhis2.dhis2.reply import Json, read_json_object


@dataclass(frozen=True, slots=True)
class ImportCount:
    """DHIS2's four counters. `ignored` means unchanged, refused or lost: never show it as one number."""

    imported: int
    updated: int
    ignored: int
    deleted: int

    @property
    def taken(self) -> int:
        return self.imported + self.updated + self.deleted


@dataclass(frozen=True, slots=True)
class Conflict:
    """One complaint: its code, the rows it names (-1: the whole request), and what 2.43 put into the text."""

    code: str | None
    indexes: tuple[int, ...]
    args: str | None


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import said of itself; a `description` is the mark of the engine before 2.43."""

    status: str
    counts: ImportCount | None
    conflicts: tuple[Conflict, ...]
    rejected_indexes: tuple[int, ...]
    description: str | None


def read_summary(reply: Reply) -> ImportSummary | None:
    """Read the import summary, in its envelope or bare (task summaries, versioned paths); None when there is none."""
    body = read_json_object(reply) or {}
    summary = body.get("response") if "httpStatus" in body else body
    if not isinstance(summary, dict) or "importCount" not in summary:
        return None
    return ImportSummary(
        status=str(summary.get("status")),
        counts=_counts(summary["importCount"]),
        conflicts=tuple(_conflict(row) for row in _list(summary.get("conflicts")) if isinstance(row, dict)),
        rejected_indexes=_indexes(summary.get("rejectedIndexes")),
        description=_text(summary.get("description")),
    )


def _counts(found: object) -> ImportCount | None:
    if not isinstance(found, dict):
        return None
    numbers = [found.get(name) for name in ("imported", "updated", "ignored", "deleted")]
    whole = [number for number in numbers if type(number) is int and number >= 0]
    return ImportCount(*whole) if len(whole) == len(numbers) else None


def _conflict(found: Json) -> Conflict:
    objects = found.get("objects")
    args = objects.get("args") if isinstance(objects, dict) else None
    return Conflict(_text(found.get("errorCode")), _indexes(found.get("indexes")), _text(args))


def _indexes(found: object) -> tuple[int, ...]:
    return tuple(index for index in _list(found) if type(index) is int)


def _list(found: object) -> Iterable[Any]:
    return found if isinstance(found, list) else ()


def _text(found: object) -> str | None:
    return found if isinstance(found, str) else None
