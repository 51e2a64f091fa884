"""FHIR R4, the only release that is read: whether a server speaks it, and what its models say of a resource.

In another release elements stand elsewhere, and staging would read them as empty. A sample is validated against the R4B
models of fhir.resources (the nearest that it has), to report, never to change or refuse. A problem is told by its place
and kind, without the value, because values are patient data.
Source: https://hl7.org/fhir/R4/validation.html.
"""

import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from typing import Any

import msgspec
from pydantic import ValidationError

MOST_PROBLEMS = 5
_VERSION = re.compile(r"[A-Za-z0-9.\-]{1,20}")
_RELEASES = {"0": "DSTU1", "1": "DSTU2", "3": "STU3", "4.3": "R4B", "5": "R5", "6": "R6"}


class _Implementation(msgspec.Struct):
    url: str = ""


class Capability(msgspec.Struct):
    """What is read of a CapabilityStatement; DSTU2 calls it Conformance."""

    resource_type: str = msgspec.field(default="", name="resourceType")
    fhir_version: str = msgspec.field(default="", name="fhirVersion")
    implementation: _Implementation = msgspec.field(default_factory=_Implementation)


@dataclass(frozen=True, slots=True)
class Introduction:
    """What the server said, by its clock and by ours (monotonic, in seconds)."""

    at: datetime
    heard_at: float
    own_url: str


def read_capability(body: bytes) -> Capability:
    """Read a CapabilityStatement: pure. What is none has no release."""
    try:
        return msgspec.json.decode(body, type=Capability)
    except (msgspec.MsgspecError, RecursionError):
        return Capability()


def refusal(capability: Capability, base_url: str) -> str | None:
    """Return why this server must not be read; none when it is R4: pure."""
    if capability.resource_type not in ("CapabilityStatement", "Conformance"):
        return (
            f"{base_url}/metadata answered with no CapabilityStatement: it is no FHIR server; check that FHIR_BASE_URL ends "
            "in the FHIR base (often /fhir) and that no login page stands before it"
        )
    version = capability.fhir_version if _VERSION.fullmatch(capability.fhir_version) else ""
    if version.startswith("4.0"):
        return None
    release = next(
        (name for begins, name in _RELEASES.items() if version.startswith(begins)), "no release that we know"
    )
    return (
        f"{base_url} is no FHIR R4 server: fhirVersion is {version or 'not told'} ({release}). Only R4 (4.0.x) is read, for "
        "in other releases elements stand elsewhere and would read as empty: set FHIR_BASE_URL to the server's R4 base"
    )


def is_sampled(resource_id: str, share: float) -> bool:
    """Return whether a resource belongs to the sample: always the same ones, whenever they are read."""
    return zlib.crc32(resource_id.encode()) % 10_000 < share * 10_000


def problems_of(resource_type: str, body: bytes) -> list[str]:
    """Return what is invalid in a resource, as `place: kind`; an empty list says that it is valid."""
    model = _model(resource_type)
    if model is None:
        return []
    try:
        model.model_validate_json(body)
    except ValidationError as error:
        problems = [f"{_place(found['loc'])}: {found['type']}" for found in error.errors(include_input=False)]
        return sorted(set(problems))[:MOST_PROBLEMS]
    return []


@lru_cache
def _model(resource_type: str) -> Any:
    try:
        module = import_module(f"fhir.resources.R4B.{resource_type.lower()}")
    except ModuleNotFoundError:
        return None
    return getattr(module, resource_type, None)


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc if not isinstance(part, int)) or "resource"
