"""How a type is read, from where to where, and what one run made of it."""

from dataclasses import dataclass, field
from datetime import datetime

from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.raw_pages import LoadCounts
from opensrp_dhis2.warehouse.slices import SHOWN_IDS, Certificate, Slice


@dataclass(frozen=True)
class Extraction:
    """How a type is read."""

    lag_seconds: float = 600
    overlap_seconds: float = 3600
    threads: int = 4
    validate_share: float = 0.01


@dataclass(frozen=True)
class Reading:
    """One type on its way from a server into a warehouse."""

    client: FhirClient
    warehouse: Warehouse
    resource_type: str
    how: Extraction

    @property
    def source(self) -> str:
        return self.client.base_url


@dataclass(frozen=True)
class SliceResult:
    """What one slice brought, and the certificate that it got; `fetched` is what a repair read by id."""

    slice: Slice
    counts: LoadCounts
    invalid: int
    certificate: Certificate
    fetched: LoadCounts = field(default_factory=LoadCounts)


@dataclass
class TypeResult:
    """What one run read of one type, in resources; but slices in slices, of them `short` without a certificate."""

    resource_type: str
    window_from: datetime | None = None
    window_to: datetime | None = None
    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    invalid: int = 0
    slices: int = 0
    short: int = 0
    repaired: int = 0
    late: int = 0
    changed: int = 0
    deleted: int = 0
    missing: int = 0
    missing_ids: list[str] = field(default_factory=list)
    files: int = 0
    known_files: int = 0  # loaded before, and unchanged
    note: str = ""  # what a person should know of the way in
    seconds: float = 0.0

    def add(self, counts: LoadCounts, invalid: int) -> None:
        for name in ("read", "inserted", "updated", "unchanged", "rejected"):
            setattr(self, name, getattr(self, name) + getattr(counts, name))
        self.invalid += invalid

    def add_fetched(self, counts: LoadCounts) -> None:
        """Take in what was read by id."""
        self.inserted += counts.inserted
        self.updated += counts.updated

    def add_slice(self, done: SliceResult) -> None:
        """Take one slice in."""
        self.add(done.counts, done.invalid)
        self.add_fetched(done.fetched)
        self.slices += 1
        found = done.certificate
        self.short += found.state == "short"
        for name in ("repaired", "late", "changed", "deleted", "missing"):
            setattr(self, name, getattr(self, name) + getattr(found, f"{name}_count"))
        self.missing_ids = [*self.missing_ids, *found.missing_ids][:SHOWN_IDS]
        self.window_from = min(self.window_from or done.slice.window_from, done.slice.window_from)
        self.window_to = max(self.window_to or done.slice.window_to, done.slice.window_to)
