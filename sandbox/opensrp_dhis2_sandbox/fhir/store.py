"""Resources with all their versions in memory, as HAPI numbers, stamps and deletes them.

It knows a resource's id, version, stamp and tags and keeps the rest as the bytes it was given; it knows no HTTP.
"""

import itertools
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from operator import attrgetter
from typing import Any

import msgspec

from opensrp_dhis2.clock import Clock, machine_clock
from opensrp_dhis2_sandbox.fhir.instant import instant_text, to_ms

Fields = dict[str, msgspec.Raw]
_decode_fields = msgspec.json.Decoder(Fields).decode
_by_stamp = attrgetter("last_updated_ms", "id")
_by_commit = attrgetter("last_updated_ms", "sequence")


class Version(msgspec.Struct, frozen=True, gc=False):
    """One version of a resource; a body of None is its deletion."""

    resource_type: str
    id: str
    version_id: int
    last_updated_ms: int
    body: bytes | None
    sequence: int
    first_sequence: int

    @property
    def is_deleted(self) -> bool:
        return self.body is None


class _Table:
    """The resources of one type, and the two orders in which they are read."""

    def __init__(self) -> None:
        self.versions: dict[str, list[Version]] = {}
        self.current: list[Version] | None = None
        self.history: list[Version] | None = None

    def add(self, version: Version) -> None:
        self.versions.setdefault(version.id, []).append(version)
        self.current = self.history = None


class FhirStore:
    """What a FHIR server holds. Safe to write from a test while a server thread reads."""

    def __init__(self, clock: Clock = machine_clock) -> None:
        self.clock = clock
        self._tables: dict[str, _Table] = {}
        self._sequence = itertools.count(1)
        self._lock = threading.RLock()

    def transaction(self) -> AbstractContextManager[bool]:
        """Keep readers and other writers out until the block ends."""
        return self._lock

    def stamp_ms(self) -> int:
        """Return the instant that a transaction puts on all its rows."""
        return to_ms(self.clock())

    def counts(self) -> dict[str, int]:
        """Count the living resources by type."""
        return {name: len(self.current(name)) for name in sorted(self._tables)}

    def current(self, resource_type: str) -> list[Version]:
        """List the living resources of a type by (lastUpdated, id)."""
        with self._lock:
            table = self._tables.get(resource_type)
            if table is None:
                return []
            if table.current is None:
                living = (versions[-1] for versions in table.versions.values() if not versions[-1].is_deleted)
                table.current = sorted(living, key=_by_stamp)
            return table.current

    def history(self, resource_type: str | None = None) -> list[Version]:
        """List all versions of a type, or of all types, newest first."""
        with self._lock:
            if resource_type is None:
                return sorted(itertools.chain(*map(self.history, self._tables)), key=_by_commit, reverse=True)
            table = self._tables.get(resource_type)
            if table is None:
                return []
            if table.history is None:
                every = itertools.chain(*table.versions.values())
                table.history = sorted(every, key=_by_commit, reverse=True)
            return table.history

    def versions(self, resource_type: str, resource_id: str) -> list[Version]:
        """List the versions of one resource, oldest first; empty when the id was never used."""
        with self._lock:
            table = self._tables.get(resource_type)
            return list(table.versions.get(resource_id, ())) if table else []

    def latest(self, resource_type: str, resource_id: str) -> Version | None:
        """Return the newest version, which may be a deletion."""
        with self._lock:
            table = self._tables.get(resource_type)
            versions = table.versions.get(resource_id) if table else None
            return versions[-1] if versions else None

    def keep(
        self, resource_type: str, resource_id: str, version_id: int, last_updated_ms: int, body: bytes | None
    ) -> None:
        """Take over a version with the number and the stamp that another server gave it."""
        with self._lock:
            self._add(resource_type, resource_id, version_id, last_updated_ms, body)

    def put(self, resource: bytes | Mapping[str, Any], *, stamp_ms: int | None = None) -> Version:
        """Create or update a resource by its own id; equal content makes no new version, old tags stay."""
        content = resource if isinstance(resource, bytes) else msgspec.json.encode(resource)
        fields = _decode_fields(content)
        resource_type, resource_id = _text(fields.pop("resourceType")), _text(fields.pop("id"))
        with self._lock:
            latest = self.latest(resource_type, resource_id)
            meta = _meta(fields.pop("meta", None))
            if latest is not None and latest.body is not None:
                old_fields = _decode_fields(latest.body)
                old_meta = _meta(old_fields["meta"])
                meta = {**old_meta, **meta, **_tags([*old_meta.get("tag", ()), *meta.get("tag", ())])}
                if meta == old_meta and _content(fields) == _content(old_fields):
                    return latest
            else:
                meta |= _tags(meta.get("tag", []))
            version_id = _next_version_id(latest)
            stamp = self.stamp_ms() if stamp_ms is None else stamp_ms
            body = _encode(resource_type, resource_id, version_id, stamp, meta, fields)
            return self._add(resource_type, resource_id, version_id, stamp, body)

    def delete(self, resource_type: str, resource_id: str, *, stamp_ms: int | None = None) -> Version | None:
        """Delete a resource; the version of the deletion comes back, or None when the id was never used."""
        with self._lock:
            latest = self.latest(resource_type, resource_id)
            if latest is None or latest.is_deleted:
                return latest
            stamp = self.stamp_ms() if stamp_ms is None else stamp_ms
            return self._add(resource_type, resource_id, latest.version_id + 1, stamp, None)

    def expunge(self, resource_type: str, resource_id: str) -> None:
        """Forget a resource with all its versions, without a trace."""
        with self._lock:
            table = self._tables[resource_type]
            del table.versions[resource_id]
            table.current = table.history = None

    def new_id(self) -> str:
        """Return an id that a server makes up for a POST: a number."""
        return str(next(self._sequence))

    def _add(self, resource_type: str, resource_id: str, version_id: int, stamp_ms: int, body: bytes | None) -> Version:
        table = self._tables.setdefault(resource_type, _Table())
        earlier = table.versions.get(resource_id)
        sequence = next(self._sequence)
        first = earlier[0].first_sequence if earlier else sequence
        version = Version(resource_type, resource_id, version_id, stamp_ms, body, sequence, first)
        table.add(version)
        return version


def _text(raw: msgspec.Raw) -> str:
    return msgspec.json.decode(raw, type=str)


def _meta(raw: msgspec.Raw | None) -> dict[str, Any]:
    meta: dict[str, Any] = msgspec.json.decode(raw) if raw is not None else {}
    return {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated", "source")}


def _tags(tags: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    distinct = {(tag.get("system", ""), tag.get("code", "")): tag for tag in tags}
    return {"tag": [distinct[key] for key in sorted(distinct)]} if distinct else {}


def _content(fields: Fields) -> dict[str, Any]:
    names = fields.keys() - {"resourceType", "id", "meta"}
    return {name: msgspec.json.decode(fields[name]) for name in names}


def _next_version_id(latest: Version | None) -> int:
    if latest is None:
        return 1
    return latest.version_id + (2 if latest.is_deleted else 1)  # HAPI leaves a gap after a deletion


def _encode(
    resource_type: str, resource_id: str, version_id: int, stamp_ms: int, meta: dict[str, Any], fields: Fields
) -> bytes:
    full_meta = {"versionId": str(version_id), "lastUpdated": instant_text(stamp_ms), **meta}
    return msgspec.json.encode({"resourceType": resource_type, "id": resource_id, "meta": full_meta, **fields})
