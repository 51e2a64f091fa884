"""Thirty days at a FHIR server, by seed: what is written, changed, deleted, brought back, tagged and purged, and when.

It knows the store's own methods and keeps the server's clock; it knows no reader.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
from opensrp_dhis2_sandbox.fhir.store import FhirStore, Version

START = datetime(2026, 9, 1, 1, tzinfo=UTC)
TYPES = ("Encounter", "Observation")
FIRST_COUNT = 40  # of each type, before the first night
SHARES = {"insert": 8, "update": 8, "delete": 5, "undelete": 3, "expunge": 2, "reborn": 2, "retag": 1, "tag": 2}
SYSTEM = "https://smartregister.org/related-entity-location-tag-id"
Key = tuple[str, str]


@dataclass(frozen=True)
class Transaction:
    """Writes of one stamp: contents to put, or keys to delete; they show when they are committed."""

    stamp_ms: int
    puts: tuple[dict[str, Any], ...] = ()
    deletes: tuple[Key, ...] = ()


@dataclass
class Month:
    """One source; `touched_at` says when a resource last changed, `odd` holds those that only a weekly look can find."""

    seed: int
    now: datetime = START
    number: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    touched_at: dict[Key, datetime] = field(default_factory=dict)
    odd: set[Key] = field(default_factory=set)
    purged: list[Key] = field(default_factory=list)
    held: list[tuple[datetime, Transaction]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = FhirStore(lambda: self.now)
        self._random, self._meddling = Random(f"month {self.seed}"), Random(f"meddling {self.seed}")
        for resource_type in TYPES:
            self._commit(Transaction(self.store.stamp_ms(), tuple(map(self._new, [resource_type] * FIRST_COUNT))))

    def pass_day(self) -> None:
        """Let a day go by with its writes, until the next night's run."""
        begins, random = self.now, self._random
        spread = [random.uniform(60, 86_390) for _ in range(random.randint(6, 15))]
        before_the_run = [random.uniform(82_000, 86_390) for _ in range(random.randint(2, 5))]
        for seconds in sorted(spread + before_the_run):
            self.pass_to(begins + timedelta(seconds=seconds))
            self._happen(random)
        self.pass_to(begins + timedelta(days=1))

    def pass_to(self, at: datetime) -> None:
        """Move the clock; what was held back until then is committed."""
        due = sorted((one for one in self.held if one[0] <= at), key=lambda one: one[0])
        self.held = [one for one in self.held if one[0] > at]
        for commit_at, transaction in due:
            self.now = commit_at
            self._commit(transaction)
        self.now = at

    def meddle(self) -> None:
        """Write while a run reads, now and then."""
        if self._meddling.random() < 0.05:
            self.pass_to(self.now + timedelta(seconds=1))
            self._happen(self._meddling)

    def truth(self, resource_type: str) -> dict[str, Any]:
        """Give the body of each living resource."""
        return {one.id: msgspec.json.decode(one.body or b"") for one in self.store.current(resource_type)}

    def _happen(self, random: Random) -> None:
        (kind,) = random.choices([*SHARES], [*SHARES.values()])
        living = [(t, one.id) for t in TYPES for one in self.store.current(t)]
        dead = sorted({(one.resource_type, one.id) for one in self.store.history() if one.is_deleted} - {*living})
        puts, deletes = list[dict[str, Any]](), list[Key]()
        if kind == "insert":
            puts = [self._new(random.choice(TYPES)) for _ in range(random.choice([1, 1, 2, 12]))]
        elif kind == "update":
            puts = [self._content(key) for key in random.sample(living, random.choice([1, 1, 5]))]
        elif kind == "delete":
            deletes = random.sample(living, random.choice([1, 1, 4]))
        elif kind == "undelete" and dead:
            puts = [self._content(random.choice(dead))]
        elif kind == "expunge" and dead:
            self._expunge(random.choice(dead))
        elif kind == "reborn" and self.purged:
            puts = [self._content(random.choice(self.purged))]
        elif kind == "retag":
            self._retag(random.choice(living))
        elif kind == "tag":
            puts = [self._tagged(random.choice(living))]
        if puts or deletes:
            self.happened[kind] += 1
            self._begin(Transaction(self.store.stamp_ms(), tuple(puts), tuple(deletes)), random)

    def _begin(self, transaction: Transaction, random: Random) -> None:
        """Commit at once, or some seconds, up to an hour, or days after the stamp."""
        delay = random.choice([5.0, 400.0, 3000.0, 3600.0, 2.6 * 86_400]) if random.random() < 0.2 else 0.0
        if delay:
            self.happened["days late" if delay > 3600 else "late"] += 1
            self.held.append((self.now + timedelta(seconds=delay), transaction))
        else:
            self._commit(transaction)

    def _commit(self, transaction: Transaction) -> None:
        """Write; who changed meanwhile stays as it is, as a server answers the later commit with a conflict."""
        is_late = self.now - timedelta(hours=1) > datetime.fromtimestamp(transaction.stamp_ms / 1000, UTC)
        for content in transaction.puts:
            key = (content["resourceType"], content["id"])
            if self._may_write(key, transaction):
                self.store.put(content, stamp_ms=transaction.stamp_ms)
                self._touch(key, is_late or key in self.purged)
        for key in transaction.deletes:
            if self._may_write(key, transaction):
                self.store.delete(*key, stamp_ms=transaction.stamp_ms)
                self._touch(key, is_late or key in self.purged)

    def _may_write(self, key: Key, transaction: Transaction) -> bool:
        latest = self.store.latest(*key)
        return latest is None or latest.last_updated_ms < transaction.stamp_ms

    def _touch(self, key: Key, is_odd: bool) -> None:
        self.touched_at[key] = self.now
        if is_odd:
            self.odd.add(key)

    def _expunge(self, key: Key) -> None:
        self.happened["expunge"] += 1
        self.store.expunge(*key)
        self.purged.append(key)
        self._touch(key, is_odd=True)

    def _retag(self, key: Key) -> None:
        """Add a tag as $meta-add does: neither version nor stamp change."""
        self.happened["retag"] += 1
        latest = self._latest(key)
        body = msgspec.json.decode(latest.body or b"")
        body["meta"]["tag"] = [*body["meta"].get("tag", []), {"system": "urn:test", "code": f"added-{self._next()}"}]
        self.store.keep(*key, latest.version_id, latest.last_updated_ms, msgspec.json.encode(body))
        self._touch(key, is_odd=True)

    def _tagged(self, key: Key) -> dict[str, Any]:
        """Give the newest content with one tag more, which a PUT makes a version of."""
        body: dict[str, Any] = msgspec.json.decode(self._latest(key).body or b"")
        return {**body, "meta": {"tag": [{"system": "urn:test", "code": f"put-{self._next()}"}]}}

    def _latest(self, key: Key) -> Version:
        latest = self.store.latest(*key)
        assert latest is not None
        return latest

    def _new(self, resource_type: str) -> dict[str, Any]:
        return self._content((resource_type, f"{resource_type[0].lower()}{self._next():04}"))

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _content(self, key: Key) -> dict[str, Any]:
        """Make a content that differs from all before."""
        number, at = self._next(), self.now - timedelta(hours=self.number % 700)
        content: dict[str, Any] = {
            "resourceType": key[0], "id": key[1], "status": "finished" if key[0] == "Encounter" else "final",
            "subject": {"reference": f"Patient/p{number % 17}"},
            "meta": {"tag": [{"system": SYSTEM, "code": f"village-{number % 5}"}]},
        }  # fmt: skip
        if key[0] == "Encounter":
            return {**content, "class": {"code": "HH"}, "period": {"start": at.isoformat()}}
        parts = [{"code": {"text": f"part {number}"}, "valueInteger": part} for part in range(number % 4)]
        value = {"effectiveDateTime": at.isoformat(), "valueQuantity": {"value": number / 4}}
        return {**content, **value, **({"component": parts} if parts else {})}
