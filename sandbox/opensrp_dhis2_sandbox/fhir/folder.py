"""Reads a folder of FHIR files into a store: NDJSON, gzipped or not, and transaction Bundles.

It knows file names and lines; a resource that carries its version and stamp keeps both and its bytes.
"""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2_sandbox.fhir.instant import parse_instant
from opensrp_dhis2_sandbox.fhir.store import FhirStore

SUFFIXES = (".ndjson", ".ndjson.gz", ".json", ".json.gz")
_URN = re.compile(rb'"urn:uuid:([^"]+)"')


class _Meta(msgspec.Struct, rename="camel"):
    version_id: str | None = None
    last_updated: str | None = None


class _Keys(msgspec.Struct, rename="camel"):
    resource_type: str
    id: str = ""
    meta: _Meta = msgspec.field(default_factory=_Meta)


class _Entry(msgspec.Struct, rename="camel"):
    resource: msgspec.Raw = msgspec.Raw()
    full_url: str = ""


class _Bundle(msgspec.Struct, rename="camel"):
    resource_type: str
    entry: list[_Entry] = []


_decode_keys = msgspec.json.Decoder(_Keys).decode
_decode_bundle = msgspec.json.Decoder(_Bundle).decode


def load_folder(store: FhirStore, folder: Path) -> dict[str, int]:
    """Load every FHIR file of a folder, in the order of their names.

    Returns the count of living resources by type. Raises ConfigurationError when there is none or one is unreadable.
    """
    files = sorted(path for path in folder.glob("*") if path.name.endswith(SUFFIXES))
    if not files:
        raise ConfigurationError(f"{folder}: no FHIR files ({', '.join('*' + suffix for suffix in SUFFIXES)}) here")
    for path in files:
        _load_file(store, path)
    return store.counts()


def _load_file(store: FhirStore, path: Path) -> None:
    stamp_ms = store.stamp_ms()
    place = f"{path}"
    try:
        for line, body in _read(path):
            place = f"{path}:{line}"
            _keep(store, body, stamp_ms)
    except (OSError, EOFError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise ConfigurationError(f"{place}: not a FHIR resource or Bundle: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    # The text of a decoding error names places, never content; others may quote what they met.
    return str(error) if isinstance(error, msgspec.MsgspecError | OSError) else type(error).__name__


def _read(path: Path) -> Iterator[tuple[int, bytes]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
        if ".ndjson" in path.suffixes:
            yield from ((number, line.strip()) for number, line in enumerate(stream, 1) if not line.isspace())
        else:
            yield from enumerate(bundle_resources(stream.read()), 1)


def bundle_resources(content: bytes) -> list[bytes]:
    """Return the resources of a Bundle, or the one resource that the content is."""
    bundle = _decode_bundle(relink_bundle(content))
    return [bytes(entry.resource) for entry in bundle.entry] if bundle.resource_type == "Bundle" else [content]


def relink_bundle(content: bytes) -> bytes:
    """Make a Bundle's references to its own urn:uuid addresses into Type/id, its fullUrls too."""
    addresses: dict[bytes, bytes] = {}
    for entry in _decode_bundle(content).entry:
        if entry.resource and entry.full_url.startswith("urn:uuid:"):
            keys = _decode_keys(entry.resource)
            uuid = entry.full_url.removeprefix("urn:uuid:")
            addresses[uuid.encode()] = f'"{keys.resource_type}/{keys.id or uuid}"'.encode()
    return _URN.sub(lambda found: addresses.get(found[1], found[0]), content)


def _keep(store: FhirStore, body: bytes, stamp_ms: int) -> None:
    keys = _decode_keys(body)
    meta = keys.meta
    if not keys.id:
        raise ValueError("no id")
    latest = store.latest(keys.resource_type, keys.id)
    if meta.version_id is None or meta.last_updated is None:
        store.put(body, stamp_ms=stamp_ms)
    elif latest is None or int(meta.version_id) > latest.version_id:
        instant_ms = parse_instant(meta.last_updated)
        store.keep(keys.resource_type, keys.id, int(meta.version_id), instant_ms, body)
