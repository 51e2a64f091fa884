"""What a FHIR server says of itself at /metadata: its release, and the address that it believes to have.

It knows CapabilityStatement; it refuses every release but R4, of which alone staging can read the resources.
"""

import re
from dataclasses import dataclass
from datetime import datetime

import msgspec

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
