"""How many values the next request carries: fewer when DHIS2 is slow, a half when a rejected one is searched for. Pure.

It knows sizes and what became of the last request; it refuses to know values, DHIS2 and Postgres.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil

STRETCH = 1.15  # a request may be this much larger than asked for if that saves one
MAX_SILENT_IN_A_ROW = 3
# single values rejected with nothing accepted between: perhaps it is not the values
MAX_SINGLES_AT_FIRST = 3  # while nothing of this period was ever accepted
MAX_SINGLES_IN_A_ROW = 25


class RequestOutcome(StrEnum):
    """What became of one request as a whole."""

    TAKEN = "taken"  # every value has a verdict, or the rejected ones are named and out
    NAMELESS = "nameless"  # it fell as a whole and nothing says for which value
    TOO_LARGE = "too large"
    SILENT = "silent"  # no usable answer


@dataclass
class Bisection:
    """The bisection for one rejected value among the first pending ones."""

    suspects: int  # values among which it is
    cause: str | None  # DHIS2's code; None when it gave none
    is_whole: bool = True  # no half has been tried yet
    second_half: int = 0  # it is tried for the same cause, behind so many values


@dataclass
class Pace:
    """The size of the next request, and when to give up."""

    limit: int
    first: int | None = None
    search: Bisection | None = None
    silent_in_a_row: int = 0
    rejected_singles: int = 0
    has_accepted: bool = False
    gave_up: bool = False  # one cause for all: report it once
    _size: int = field(init=False)

    def __post_init__(self) -> None:
        self._size = self.limit

    def begin(self, first: int | None) -> None:
        """Start on another data set or period; the size stays what the server made of it."""
        self.first, self.search, self.gave_up, self.has_accepted = first, None, False, False
        self.silent_in_a_row = self.rejected_singles = 0

    @property
    def is_dead(self) -> bool:
        return self.silent_in_a_row >= MAX_SILENT_IN_A_ROW

    @property
    def is_sampling(self) -> bool:
        return self.rejected_singles >= (MAX_SINGLES_IN_A_ROW if self.has_accepted else MAX_SINGLES_AT_FIRST)

    def next_cut(self, pending: int) -> tuple[int, int]:
        """Return the size of the next request and how many pending values it passes over."""
        if self.is_sampling:
            return 1, max(0, pending - 1)
        if self.search:
            half = max(1, self.search.suspects // 2)
            return (self.search.suspects - half, half) if self.search.second_half else (half, 0)
        return min(self.first, self._size) if self.first else even_share(pending, self._size), 0

    def record(self, outcome: RequestOutcome, size: int, *, cause: str | None = None, accepted: int = 0) -> None:
        """Take in what became of a request of so many values, of which DHIS2 accepted some."""
        self.first = None
        self.silent_in_a_row = self.silent_in_a_row + 1 if outcome is RequestOutcome.SILENT and not accepted else 0
        is_sample, self.has_accepted = self.is_sampling, self.has_accepted or accepted > 0
        if is_sample and outcome is not RequestOutcome.SILENT:
            self.gave_up, self.rejected_singles = not accepted, 0
        elif outcome in (RequestOutcome.SILENT, RequestOutcome.TOO_LARGE):
            self._size = max(1, size // 2)
        elif outcome is RequestOutcome.NAMELESS:
            self._on_failure(size, cause)
        else:
            self._size = min(self.limit, self._size * 2)
            self._on_success(size, accepted)

    def _on_failure(self, size: int, cause: str | None) -> None:
        search = self.search
        if search is None:
            self.search = Bisection(size, cause)
        elif search.second_half:
            self.gave_up = search.cause == cause
            search.suspects, search.second_half = search.second_half, 0
        elif search.is_whole and cause is not None and cause == search.cause and search.suspects > 1:
            search.is_whole, search.second_half = False, size
        else:
            search.suspects, search.is_whole = size, False

    def _on_success(self, size: int, accepted: int) -> None:
        is_found = self.search is not None and size == 1 and not accepted
        self.rejected_singles = self.rejected_singles + 1 if is_found else 0
        if self.search is None:
            return
        if self.search.second_half:
            self.search.suspects, self.search.second_half = self.search.second_half, 0
            return
        self.search.suspects, self.search.is_whole = self.search.suspects - size, False
        if is_found or self.search.suspects <= 0:
            self.search = None


def even_share(pending: int, size: int) -> int:
    """Spread what is pending evenly over as few requests as the size allows, or one fewer if they hardly grow."""
    fewer = ceil(pending / max(1, pending // size))
    return max(1, fewer if fewer <= size * STRETCH else ceil(pending / ceil(pending / size)))
