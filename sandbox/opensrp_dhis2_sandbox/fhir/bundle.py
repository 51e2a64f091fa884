"""Bundles and OperationOutcomes as bytes, with resources spliced in as they were received.

It knows the JSON that HAPI writes around resources; which resources and links belong there it is told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from opensrp_dhis2_sandbox.fhir.instant import instant_text
from opensrp_dhis2_sandbox.fhir.store import Version

SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}
_encode = msgspec.json.encode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True)
class Links:
    """Writes the addresses of one answer: the server's own, whatever host was asked."""

    base: str

    def own(self, path: str, pairs: Iterable[tuple[str, str]]) -> str:
        """Write the address of a search with its parameters sorted by name."""
        ordered = sorted(pairs, key=lambda pair: pair[0])
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in ordered)
        return f"{self.base}/{path}" + (f"?{query}" if query else "")

    def page(self, cursor_id: str, offset: int, count: int, is_pretty: bool, elements: Iterable[str]) -> str:
        """Write the address of a page of a cursor."""
        pretty = "&_pretty=true" if is_pretty else ""
        chosen = ",".join(sorted(elements))
        return (
            f"{self.base}?_getpages={cursor_id}&_getpagesoffset={offset}&_count={count}{pretty}"
            f"&_bundletype=searchset" + (f"&_elements={chosen}" if chosen else "")
        )


def bundle(
    kind: str,
    bundle_id: str,
    updated_ms: int,
    *,
    total: int | None = None,
    links: Sequence[tuple[str, str]] = (),
    entries: Sequence[bytes] = (),
    is_subsetted: bool = False,
) -> bytes:
    """Write a Bundle; members without a value are left out, as HAPI does."""
    meta: dict[str, Any] = {"lastUpdated": instant_text(updated_ms)}
    if is_subsetted:
        meta["tag"] = [SUBSETTED]
    head: dict[str, Any] = {"resourceType": "Bundle", "id": bundle_id, "meta": meta, "type": kind}
    if total is not None:
        head["total"] = total
    if links:
        head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    if not entries:
        return _encode(head)
    return b'%s,"entry":[%s]}' % (_encode(head)[:-1], b",".join(entries))


def match_entry(base: str, version: Version, elements: frozenset[str]) -> bytes:
    """Write one hit of a search."""
    body = subset(version.body or b"", elements) if elements else version.body
    return b'{"fullUrl":"%s","resource":%s,"search":{"mode":"match"}}' % (_full_url(base, version), body)


def history_entry(base: str, version: Version, elements: frozenset[str]) -> bytes:
    """Write one version in a history; a deletion has no resource and no time."""
    method, status = "PUT", "200 OK"
    if version.is_deleted:
        method = "DELETE"
    elif version.version_id == 1:
        method, status = "POST", "201 Created"
    body = subset(version.body, elements) if elements and version.body else version.body
    resource = b'"resource":%s,' % body if body else b""
    request = {"method": method, "url": f"{version.resource_type}/{version.id}/_history/{version.version_id}"}
    response = {"status": status, "etag": f'W/"{version.version_id}"'}
    return b'{"fullUrl":"%s",%s"request":%s,"response":%s}' % (
        _full_url(base, version),
        resource,
        _encode(request),
        _encode(response),
    )


def subset(body: bytes, elements: frozenset[str]) -> bytes:
    """Keep the named elements with id and meta, marked SUBSETTED."""
    fields = _decode_fields(body)
    kept: dict[str, Any] = {name: value for name, value in fields.items() if name in elements | {"resourceType", "id"}}
    meta = msgspec.json.decode(fields["meta"])
    kept["meta"] = {**meta, "tag": [*meta.get("tag", ()), SUBSETTED]}
    return _encode(kept)


def outcome(diagnostics: str, *, code: str = "processing") -> bytes:
    """Write the OperationOutcome of an error."""
    return _encode(_outcome({"severity": "error", "code": code, "diagnostics": diagnostics}))


def success(storage_code: str, display: str, diagnostics: str) -> bytes:
    """Write the OperationOutcome of a write that went well."""
    system = "https://hapifhir.io/fhir/CodeSystem/hapi-fhir-storage-response-code"
    details = {"coding": [{"system": system, "code": storage_code, "display": display}]}
    issue = {"severity": "information", "code": "informational", "details": details, "diagnostics": diagnostics}
    return _encode(_outcome(issue))


def _outcome(issue: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _full_url(base: str, version: Version) -> bytes:
    return f"{base}/{version.resource_type}/{version.id}".encode()
