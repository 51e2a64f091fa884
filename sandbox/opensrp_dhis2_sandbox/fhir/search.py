"""Search parameters as HAPI reads them, and the resources that they select.

It knows _lastUpdated, _id, _tag and _sort; clinical parameters are refused as unknown, and paging is the cursor's.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
from starlette.exceptions import HTTPException

from opensrp_dhis2_sandbox.fhir.instant import date_bounds
from opensrp_dhis2_sandbox.fhir.store import FhirStore, Version

Pairs = Sequence[tuple[str, str]]
ALWAYS, NEVER = -(1 << 62), 1 << 62
KNOWN = "[_id, _lastUpdated, _profile, _security, _source, _tag]"
FULL_TEXT = frozenset({"_content", "_text"})
_SORT_KEYS = {"_lastUpdated": attrgetter("last_updated_ms"), "_id": attrgetter("id")}
_stamp = attrgetter("last_updated_ms")
_insertion = attrgetter("first_sequence")
_Tag = tuple[str | None, str]


class _TagMeta(msgspec.Struct):
    tag: list[dict[str, Any]] = []


class _Tagged(msgspec.Struct):
    meta: _TagMeta


_decode_tagged = msgspec.json.Decoder(_Tagged).decode


@dataclass(frozen=True)
class Query:
    """What decides which resources come, in which order and page size; equal queries may share a result."""

    resource_type: str
    first_ms: int
    last_ms: int
    ids: frozenset[str] | None
    tags: tuple[frozenset[_Tag], ...]
    sort: tuple[str, ...]
    count: int | None


@dataclass(frozen=True)
class Search:
    """A query and how its pages are to look."""

    query: Query
    elements: frozenset[str]
    is_pretty: bool
    is_count_only: bool
    has_accurate_total: bool
    offset: int | None


def refuse(diagnostics: str, status: int = 400) -> HTTPException:
    """Make the refusal that the application answers as an OperationOutcome."""
    return HTTPException(status, diagnostics)


def integer(name: str, text: str) -> int:
    """Read a number from the query. Raises HTTPException as HAPI refuses it."""
    try:
        return int(text)
    except ValueError as error:
        raise refuse(f"HAPI-0375: Invalid {name} value: {text}") from error


def parse_search(resource_type: str, pairs: Pairs) -> Search:
    """Read the parameters of a search by type. Raises HTTPException as HAPI refuses them."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        _check_name(resource_type, name)
        values.setdefault(name, []).append(value)
    first_ms, last_ms = parse_window(values.get("_lastUpdated", ()))
    count = integer("_count", values["_count"][0]) if "_count" in values else None
    query = Query(
        resource_type=resource_type,
        first_ms=first_ms,
        last_ms=last_ms,
        ids=frozenset(",".join(values["_id"]).split(",")) if "_id" in values else None,
        tags=tuple(frozenset(map(_tag, value.split(","))) for value in sorted(values.get("_tag", ()))),
        sort=_sort(resource_type, values),
        count=count,
    )
    return Search(
        query=query,
        elements=frozenset(",".join(values.get("_elements", ())).split(",")) - {""},
        is_pretty=is_pretty(pairs),
        is_count_only=count == 0 or "count" in values.get("_summary", ()),
        has_accurate_total="accurate" in values.get("_total", ()),
        offset=integer("_offset", values["_offset"][0]) if "_offset" in values else None,
    )


def is_pretty(pairs: Pairs) -> bool:
    """Return whether bodies are indented: the starter's default, until _pretty=false."""
    return ("_pretty", "false") not in pairs


def parse_window(texts: Iterable[str]) -> tuple[int, int]:
    """Intersect date parameters with prefixes into the first and last millisecond that they admit."""
    first_ms, last_ms = ALWAYS, NEVER
    for text in texts:
        prefix = text[:2] if text[:2].isalpha() else "eq"
        if prefix not in ("eq", "ge", "gt", "le", "lt", "sa", "eb"):
            raise refuse(f'HAPI-1941: Invalid prefix: "{prefix}"')
        try:
            bounds = date_bounds(text.removeprefix(prefix))
        except ValueError as error:
            raise refuse(f'HAPI-1882: Invalid date/time format: "{text.removeprefix(prefix)}"') from error
        if prefix in ("ge", "eq"):
            first_ms = max(first_ms, bounds.first)
        if prefix in ("le", "eq"):
            last_ms = min(last_ms, bounds.last)
        if prefix in ("gt", "sa"):
            first_ms = max(first_ms, bounds.after)
        if prefix in ("lt", "eb"):
            last_ms = min(last_ms, bounds.before)
    return first_ms, last_ms


def select(store: FhirStore, query: Query) -> list[Version]:
    """List the living resources that a query selects, in its order."""
    found: list[Version] = store.current(query.resource_type)
    if query.first_ms > ALWAYS or query.last_ms < NEVER:
        low = bisect_left(found, query.first_ms, key=_stamp)
        found = found[low : bisect_right(found, query.last_ms, key=_stamp)]
    if query.ids is not None:
        found = [version for version in found if version.id in query.ids]
    for tags in query.tags:
        found = [version for version in found if tags & _tags_of(version)]
    if query.sort == ("_lastUpdated", "_id"):
        return found
    found = sorted(found, key=_insertion)
    for name in reversed(query.sort):
        found.sort(key=_SORT_KEYS[name.removeprefix("-")], reverse=name.startswith("-"))
    return found


def _check_name(resource_type: str, name: str) -> None:
    if name in FULL_TEXT:
        raise refuse(f"HAPI-1192: Fulltext search is not enabled on this service, can not process parameter: {name}")
    if name == "_source":
        raise refuse("HAPI-1216: The _source parameter is disabled on this server")
    if not name.startswith("_"):
        raise refuse(
            f'HAPI-0524: Unknown search parameter "{name}" for resource type "{resource_type}". '
            f"Valid search parameters for this search are: {KNOWN}"
        )


def _sort(resource_type: str, values: dict[str, list[str]]) -> tuple[str, ...]:
    names = tuple(name for name in ",".join(values.get("_sort", ())).split(",") if name)
    for name in names:
        if name.removeprefix("-") not in _SORT_KEYS:
            raise refuse(
                f'HAPI-1194: Unknown _sort parameter value "{name}" for resource type "{resource_type}" (Note: sort '
                f"parameters values must use a valid Search Parameter). Valid values for this search are: {KNOWN}"
            )
    return names


def _tag(text: str) -> _Tag:
    system, bar, code = text.rpartition("|")
    if not code:
        raise refuse(f"HAPI-1218: Missing _tag parameter (must supply a value/code and not just a system): {text}")
    return (system if bar else None, code)


def _tags_of(version: Version) -> set[_Tag]:
    tags = _decode_tagged(version.body or b"{}").meta.tag
    return {(system, tag.get("code", "")) for tag in tags for system in (tag.get("system", ""), None)}
