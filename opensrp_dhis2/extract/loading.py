"""Pages into one load: put together until they are worth a merge, and a sample of them validated."""

from collections.abc import Callable, Iterable, Iterator

from opensrp_dhis2.fhir.page import Page, Resource
from opensrp_dhis2.fhir.validation import is_sampled, problems_of
from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.raw_pages import Load

MERGE_SIZE = 2_000  # resources merged at once: bounds the memory


def load_pages(
    connection: Connection, load: Load, resource_type: str, pages: Iterable[Page], validate_share: float,
    note: Callable[[Page], None] = lambda _: None,
) -> int:  # fmt: skip
    """Load pages; `note` is shown each. Returns: the number of invalid resources in the sample."""
    invalid = 0
    for page in pages:
        note(page)
        load.add(page.resources, page.rejected)
        invalid += _validate(connection, resource_type, page.resources, validate_share)
    return invalid


def merged(pages: Iterator[Page]) -> Iterator[Page]:
    """Put pages together until they are worth a merge."""
    gathered = Page()
    for page in pages:
        gathered.resources += page.resources
        gathered.rejected += page.rejected
        gathered.duplicate_count += page.duplicate_count
        gathered.is_short |= page.is_short
        gathered.totals |= page.totals
        if len(gathered) >= MERGE_SIZE:
            yield gathered
            gathered = Page()
    yield gathered


def _validate(connection: Connection, resource_type: str, resources: list[Resource], share: float) -> int:
    """Report what is invalid in the sample; give the number of invalid resources."""
    invalid = 0
    for resource in resources:
        problems = problems_of(resource_type, resource.body) if is_sampled(resource.id, share) else []
        invalid += bool(problems)
        for problem in problems:
            connection.execute(
                "insert into raw.invalid (resource_type, id, version_id, problem) values (%s, %s, %s, %s)"
                " on conflict do nothing",
                (resource_type, resource.id, resource.version_id, problem),
            )
    return invalid
