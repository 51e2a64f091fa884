"""A page of FHIR resources: the bytes as received, and the keys that the warehouse needs of each.

It knows a resource's id, version and time stamp; everything else in it stays unread.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

MOST_BYTES = 64 << 20  # of a page, unpacked, and of a line: some of each are in memory at a time
HEAD_BYTES = 1_000  # of a line that is longer, to know it by
TOO_LARGE = f"it is larger than {MOST_BYTES >> 20} MiB"
SUBSETTED = "SUBSETTED"
SUBSETTED_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
NO_JSON = "it is not JSON, or its id or meta is not as FHIR has them"
NO_KEYS = "it has no FHIR id, or no meta.lastUpdated with a zone"
IN_PART = "the server sent only a part of it (SUBSETTED)"
_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")
_TYPE = re.compile(r"[A-Za-z]{1,64}")
_HAPI_NUMBER = re.compile(r"HAPI-\d{1,5}")
_ISSUE_CODE = re.compile(r"[a-z-]{1,30}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_COUNT = re.compile(r"[?&]_count=([0-9]{1,9})(?:&|$)")

Version: TypeAlias = tuple[int, datetime]  # a number may begin anew; a time alone may be shared


class Tag(msgspec.Struct):
    """One tag of meta."""

    system: str | None = None
    code: str | None = None

    @property
    def is_subsetted(self) -> bool:
        """Return whether it is the server's mark on what it sent in part; a client may store it under another system."""
        return self.code == SUBSETTED and self.system == SUBSETTED_SYSTEM


class _Meta(msgspec.Struct):
    version: str | None = msgspec.field(default=None, name="versionId")
    last_updated: datetime | None = msgspec.field(default=None, name="lastUpdated")
    tags: list[Tag] = msgspec.field(default_factory=list, name="tag")


class Keys(msgspec.Struct):
    """What is read of a resource as it came: all of it may be missing or odd."""

    resource_type: str = msgspec.field(default="", name="resourceType")
    id: str = ""
    meta: _Meta = msgspec.field(default_factory=_Meta)

    @property
    def stamp(self) -> datetime | None:
        """When it was written; none unless it has a FHIR id and a time with a zone."""
        stamp = self.meta.last_updated
        return stamp if stamp and stamp.tzinfo and _ID.fullmatch(self.id) else None


class _Link(msgspec.Struct):
    relation: str = ""
    url: str = ""


class _Mode(msgspec.Struct, frozen=True):
    mode: str = "match"


_MATCH = _Mode()


class _Request(msgspec.Struct, frozen=True):
    method: str = ""
    url: str = ""


_NO_REQUEST = _Request()


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()
    request: _Request = _NO_REQUEST  # a history has one
    search: _Mode = _MATCH


class Bundle(msgspec.Struct):
    """A searchset Bundle, its resources unread."""

    resource_type: str = msgspec.field(default="", name="resourceType")
    link: list[_Link] = msgspec.field(default_factory=list)
    entry: list[_Entry] = msgspec.field(default_factory=list)
    total: int | None = None

    @property
    def next_url(self) -> str | None:
        return next((link.url for link in self.link if link.relation == "next"), None)

    @property
    def is_short(self) -> bool:
        """Return whether there are fewer entries than the next link counts with: rows were deleted or left out."""
        count = _COUNT.search(self.next_url or "")
        return count is not None and len(self.entry) < int(count[1])


class Resource(msgspec.Struct, frozen=True, gc=False):
    """One resource as received."""

    id: str
    version_id: int
    last_updated: datetime
    body: bytes

    @property
    def version(self) -> Version:
        return self.version_id, self.last_updated


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """Something in a page that is no usable resource of the wanted type, and why."""

    id: str | None
    reason: str
    body: bytes


@dataclass(slots=True)
class Page:
    """What one answer held."""

    resources: list[Resource] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    duplicate_count: int = 0
    is_short: bool = False  # it held fewer than its own next link counts with
    totals: set[int] = field(default_factory=set)  # of the whole search, where the server told it

    def __len__(self) -> int:
        return len(self.resources) + len(self.rejected)

    def add(self, resource_type: str, body: bytes) -> None:
        """Take one entry in: as a resource, or with the reason why it is none."""
        if len(body) > MOST_BYTES:
            self.rejected.append(Rejected(None, TOO_LARGE, body[:HEAD_BYTES]))
            return
        found = read_resource(resource_type, body)
        if isinstance(found, Resource):
            self.resources.append(found)
        else:
            self.rejected.append(found)

    def join(self, other: "Page") -> None:
        """Take the entries of another page in, and what is known of that page."""
        self.resources += other.resources
        self.rejected += other.rejected
        self.duplicate_count += other.duplicate_count
        self.is_short |= other.is_short
        self.totals |= other.totals

    def settle(self) -> None:
        """Keep the newest version of an id that came more than once; contents that contradict each other are told."""
        newest: dict[str, Resource] = {}
        for resource in self.resources:
            kept = newest.setdefault(resource.id, resource)
            if resource.version_id > kept.version_id:
                newest[resource.id] = resource
            elif resource.version_id == kept.version_id and resource.body != kept.body:
                reason = (
                    f"the page has it twice as version {kept.version_id}, with different content; the first is kept"
                )
                self.rejected.append(Rejected(resource.id, reason, resource.body))
        self.duplicate_count += len(self.resources) - len(newest)
        self.resources = list(newest.values())


_KEYS: msgspec.json.Decoder[Keys] = msgspec.json.Decoder(Keys)
BUNDLE: msgspec.json.Decoder[Bundle] = msgspec.json.Decoder(Bundle)


def page_of(resource_type: str, bundle: Bundle) -> Page:
    """Sort the entries of a Bundle: resources of the wanted type, and the rest with the reason why it is none."""
    page = Page(is_short=bundle.is_short, totals={bundle.total} - {None})  # type: ignore[arg-type]
    for entry in bundle.entry:
        body = bytes(entry.resource)
        if entry.search.mode == "outcome":
            page.rejected.append(Rejected(None, "it is the server's remark on the search, not a resource", body))
        else:
            page.add(resource_type, body)
    if len({resource.id for resource in page.resources}) < len(page.resources):
        page.settle()
    return page


def read_keys(body: bytes | msgspec.Raw) -> Keys | None:
    """Read the keys of one resource; none of what is no resource."""
    try:
        return _KEYS.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return None


def read_resource(resource_type: str, body: bytes) -> Resource | Rejected:
    """Read one resource, or say why it is none: pure.

    A versionId that is no number (another server than HAPI) is replaced by lastUpdated in milliseconds, which grows too.
    """
    keys = read_keys(body)
    if keys is None:
        return Rejected(None, NO_JSON, body)
    its_id = keys.id if _ID.fullmatch(keys.id) else None
    if keys.resource_type != resource_type:
        kind = keys.resource_type if _TYPE.fullmatch(keys.resource_type) else "thing without resourceType"
        return Rejected(its_id, f"it is a {kind}", body)
    stamp = keys.stamp
    if stamp is None:
        return Rejected(its_id, NO_KEYS, body)
    if any(tag.is_subsetted for tag in keys.meta.tags):
        return Rejected(its_id, IN_PART, body)
    return Resource(keys.id, version_of(keys.meta.version, stamp), stamp, body)


def version_of(text: str | None, last_updated: datetime) -> int:
    """Read a versionId; one that is no number, or too long for a bigint, is replaced by lastUpdated in milliseconds."""
    return int(text) if text and _NUMBER.fullmatch(text) else int(last_updated.timestamp() * 1000)


def is_outcome(body: bytes) -> bool:
    """Return whether it is an OperationOutcome, with which every FHIR server refuses: pure."""
    keys = read_keys(body)
    return keys is not None and keys.resource_type == "OperationOutcome"


def outcome_text(body: Any) -> str:
    """Return HAPI's number and the issue code of an OperationOutcome; never its words, which may quote a person."""
    issues = body.get("issue") if isinstance(body, dict) else None
    first = issues[0] if isinstance(issues, list) and issues and isinstance(issues[0], dict) else {}
    number = _HAPI_NUMBER.search(str(first.get("diagnostics", "")))
    code = _ISSUE_CODE.fullmatch(str(first.get("code", "")))
    return " ".join(found[0] for found in (number, code) if found) or "no reason given"
