"""Server-side search results: a cursor fixes ids only as far as HAPI prefetches, and dies after an hour.

It knows which id comes at which offset and when a result may be used again; it renders nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from opensrp_dhis2_sandbox.fhir.instant import to_ms
from opensrp_dhis2_sandbox.fhir.search import Query, Search, refuse, select
from opensrp_dhis2_sandbox.fhir.store import FhirStore

PREFETCH_THRESHOLDS = (13, 503, 2003)
REUSE_SECONDS = 60.0


@dataclass
class Cursor:
    """One stored search: the ids given so far, and the query that finds the rest when they are asked for."""

    query: Query
    created_at: datetime
    expires_at: datetime
    total: int | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    ids: list[str] = field(default_factory=list)
    is_complete: bool = False

    @property
    def created_ms(self) -> int:
        return to_ms(self.created_at)

    def page(self, store: FhirStore, offset: int, count: int) -> list[str]:
        """Return the ids of one page; what is not prefetched yet comes from a search of this moment."""
        while not self.is_complete and len(self.ids) < offset + count:
            self._prefetch(store, count)
        return self.ids[offset : offset + count]

    def _prefetch(self, store: FhirStore, count: int) -> None:
        known = set(self.ids)
        threshold = next((number for number in PREFETCH_THRESHOLDS if number > len(known)), None)
        # One id more than needed: HAPI looks whether there is another page.
        limit = None if threshold is None else max(threshold, len(known) + count) + 1 - len(known)
        fresh = [version.id for version in select(store, self.query) if version.id not in known]
        self.ids += fresh[:limit]
        self.is_complete = limit is None or len(fresh) < limit


class Cursors:
    """All cursors of a server, by id, and those young enough to answer an equal search."""

    def __init__(self, clock: Callable[[], datetime], cursor_seconds: float) -> None:
        self._clock = clock
        self._life = timedelta(seconds=cursor_seconds)
        self._by_id: dict[str, Cursor] = {}
        self._reusable: dict[Query, Cursor] = {}

    def open(self, store: FhirStore, search: Search, *, may_reuse: bool) -> tuple[Cursor, bool]:
        """Return a cursor for a search, and whether it is an older one's result."""
        now = self._clock()
        self._drop_dead(now)
        young = self._reusable.get(search.query)
        if young is not None and now - young.created_at < timedelta(seconds=REUSE_SECONDS):
            if may_reuse:
                young.total = self._total(store, search) or young.total
                return young, True
        else:
            young = None
        cursor = Cursor(search.query, now, now + self._life, self._total(store, search))
        self._by_id[cursor.id] = cursor
        if young is None:  # as recorded: a no-cache search does not take the place of an older young result
            self._reusable[search.query] = cursor
        return cursor, False

    def get(self, cursor_id: str) -> Cursor:
        """Return a living cursor. Reading one late in its life prolongs it. Raises 410 when it is dead or unknown."""
        now = self._clock()
        cursor = self._by_id.get(cursor_id)
        if cursor is None or cursor.expires_at < now:
            raise refuse(f'HAPI-0417: Search ID "{cursor_id}" does not exist and may have expired', 410)
        cursor.expires_at = max(cursor.expires_at, now + self._life / 6)
        return cursor

    def forget_all(self) -> None:
        """Lose every cursor, as a restarted server or a cleaned search table does."""
        self._by_id.clear()
        self._reusable.clear()

    def _total(self, store: FhirStore, search: Search) -> int | None:
        return len(select(store, search.query)) if search.has_accurate_total else None

    def _drop_dead(self, now: datetime) -> None:
        for cursor_id in [cursor.id for cursor in self._by_id.values() if cursor.expires_at < now]:
            dead = self._by_id.pop(cursor_id)
            if self._reusable.get(dead.query) is dead:
                del self._reusable[dead.query]
