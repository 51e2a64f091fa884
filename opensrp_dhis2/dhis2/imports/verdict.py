"""What became of each value of a request: a small closed set of verdicts, and the sum of them.

It knows the words; import_reply.py decides which of them is true.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from opensrp_dhis2.dhis2.imports.summary import ImportCount


class Verdict(StrEnum):
    """The fate of one sent value."""

    STORED = "stored"  # DHIS2 holds it now
    UNCHANGED = "unchanged"  # DHIS2 held it already
    DELETED = "deleted"  # asked to go, and gone
    DROPPED = "dropped"  # an insignificant zero that an old server throws away by rule: as delivered as it can be
    REFUSED = "refused"  # not stored, and sending the same again would not help
    BLOCKED = "blocked"  # not stored for a cause outside the value; it may go again when the cause is gone
    UNKNOWN = "unknown"  # the reply does not say: read back


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """The verdict on one row; `code` is DHIS2's or one of `codes.Reason`, None where nothing needs a reason."""

    verdict: Verdict
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Interpretation:
    """One reply, read: a verdict for each sent row in order, and what the caller does next.

    `cause` is the one code that speaks for the whole request, if there is one. `guilty` are the ids (or row numbers,
    as text) that DHIS2 named; the rows to leave out are those refused, since an id may be guilty in one row only.
    `is_user_cause`: the account or its rights, to be reported once and not tried again. `is_retryable`: what is
    unknown or blocked may succeed when it is sent again as it is, alone and after a read-back.
    """

    rows: tuple[RowVerdict, ...]
    cause: str | None = None
    guilty: frozenset[str] = frozenset()
    counts: ImportCount | None = None
    is_user_cause: bool = False
    is_retryable: bool = False

    def tally(self) -> dict[Verdict, int]:
        """Count the rows by verdict, leaving out verdicts that no row has."""
        return dict(Counter(row.verdict for row in self.rows))
