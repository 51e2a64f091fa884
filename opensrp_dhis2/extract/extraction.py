"""One run over one type: how it is read, its pages into a load, and what the run made of it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.page import Page, Resource
from opensrp_dhis2.fhir.release import is_sampled, problems_of
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.load import Load, LoadCounts, keep_invalid, table_name
from opensrp_dhis2.warehouse.state import SHOWN_IDS, Certificate, Slice

MERGE_SIZE = 2_000  # resources merged at once: bounds the memory
ReportProgress = Callable[[int, int], None]  # resources of each slice that is done, and of all that are planned
Server = TypeVar("Server")
Item = TypeVar("Item")
Result = TypeVar("Result")


def unseen(done: int, planned: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Extraction:
    """How a type is read."""

    lag_seconds: float = 600
    overlap_seconds: float = 3600
    threads: int = 4
    validate_share: float = 0.01


@dataclass(frozen=True)
class TypeRun(Generic[Server]):
    """One type on its way from a server, a folder or a schema into a warehouse; rows of raw name it by `source`."""

    server: Server
    source: str
    warehouse: Warehouse
    resource_type: str
    how: Extraction = field(default_factory=Extraction)
    progress: ReportProgress = unseen

    @property
    def of(self) -> tuple[str, str]:
        return self.source, self.resource_type

    @property
    def table(self) -> str:
        return table_name(self.resource_type)


SearchRun: TypeAlias = TypeRun[FhirClient]


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
    """What one run read of one type, in resources; but slices in slices, of them `incomplete` without a certificate."""

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
    incomplete: int = 0
    repaired: int = 0
    late: int = 0
    changed: int = 0
    deleted: int = 0
    missing: int = 0
    missing_ids: list[str] = field(default_factory=list)
    files: int = 0
    known_files: int = 0  # loaded before, and unchanged
    note: str = ""  # what a person should know of the source
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
        self.incomplete += found.state == "incomplete"
        for name in ("repaired", "late", "changed", "deleted", "missing"):
            setattr(self, name, getattr(self, name) + getattr(found, f"{name}_count"))
        self.missing_ids = [*self.missing_ids, *found.missing_ids][:SHOWN_IDS]
        self.add_window(done.slice)

    def add_window(self, part: Slice) -> None:
        self.window_from = min(self.window_from or part.window_from, part.window_from)
        self.window_to = max(self.window_to or part.window_to, part.window_to)


def run_in_pool(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], take: Callable[[Result], object]
) -> None:
    """Do work on items side by side, and take the results in order; the first failure ends it, what waits is not begun."""
    jobs = [pool.submit(work, item) for item in items]
    try:
        for job in jobs:
            take(job.result())
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise


def load_pages(
    connection: Connection, load: Load, run: TypeRun[Server], pages: Iterable[Page],
    note: Callable[[Page], object] = lambda _: None,
) -> int:  # fmt: skip
    """Load pages; `note` is given each. Returns: the number of invalid resources in the sample."""
    invalid = 0
    for page in pages:
        note(page)
        load.add(page.resources, page.rejected)
        invalid += _validate(connection, run.resource_type, page.resources, run.how.validate_share)
    return invalid


def merged(pages: Iterable[Page]) -> Iterator[Page]:
    """Yield pages joined until they are worth a merge."""
    gathered = Page()
    for page in pages:
        gathered.join(page)
        if len(gathered) >= MERGE_SIZE:
            yield gathered
            gathered = Page()
    yield gathered


def _validate(connection: Connection, resource_type: str, resources: list[Resource], share: float) -> int:
    """Report what is invalid in the sample; return the number of invalid resources."""
    invalid = 0
    for resource in resources:
        problems = problems_of(resource_type, resource.body) if is_sampled(resource.id, share) else []
        invalid += bool(problems)
        for problem in problems:
            keep_invalid(connection, resource_type, resource, problem)
    return invalid
