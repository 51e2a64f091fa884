"""A process that is killed during a first load: the next one goes on with the same job, and ends with everything."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from opensrp_dhis2.extract import Extraction
from opensrp_dhis2.extract.first_load import first_load
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.export_site import FILE, KICK_OFF, POLL, Site, export_site
from tests.support.raw import left

CHILD = """
import sys
from opensrp_dhis2.extract import Extraction
from opensrp_dhis2.extract.first_load import first_load
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
first_load(FhirClient(sys.argv[1]), Warehouse(sys.argv[2]), ["Flag", "Patient"], Extraction(threads=1, validate_share=0))
"""


def kill_at(site: Site, database_url: str, number: int) -> str:
    """Run a first load in a child and kill it when its nth request arrives, or half way through its answer."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, site.url, database_url], stderr=subprocess.PIPE)
    place: list[str] = []

    def halves(content: bytes) -> Iterator[bytes]:
        yield content[: len(content) // 2]
        child.kill()
        child.wait()
        yield content[len(content) // 2 :]

    def watch(request: Request) -> Response | None:
        if len(site.asked) != number:
            return None
        place.append(f"{request.method} {request.url.path}")
        if request.url.path.startswith(FILE):
            return StreamingResponse(halves(site.file(request)))
        child.kill()
        child.wait()
        return None

    site.asked.clear()
    site.watch = watch
    child.communicate()
    assert child.returncode == -9
    site.watch = lambda request: None
    return place[0]


@pytest.mark.parametrize(
    ("number", "place", "kick_offs"),
    [
        (1, f"GET {KICK_OFF}", 2),  # nobody can ask for the job whose status URL never came: it expires by itself
        (2, f"GET {POLL}", 1),
        (3, f"GET {FILE}", 1),
        (5, f"GET {FILE}", 1),
        (7, f"DELETE {POLL}", 1),
    ],
)
def test_a_first_load_that_is_killed_anywhere_goes_on_with_its_job(
    warehouse: Warehouse, database_url: str, number: int, place: str, kick_offs: int
) -> None:
    with export_site(job_seconds=0) as site:
        site.put(250)
        site.put(30, of_type="Patient")
        assert kill_at(site, database_url, number).startswith(place)
        with FhirClient(site.url) as client:
            done = first_load(client, warehouse, ["Flag", "Patient"], Extraction(validate_share=0))
        assert (done.state, left(warehouse), len(site.exports.jobs)) == ("loaded", 0, kick_offs)
        with warehouse.connect() as connection:
            assert dict(connection.execute("select id, version_id from raw.flag").fetchall()) == site.truth()
            assert connection.execute("select count(*) from raw.patient").fetchone() == (30,)
            assert connection.execute("select count(*) from raw.watermark").fetchone() == (2,)
            assert connection.execute("select count(*) from raw.slice where state <> 'certified'").fetchone() == (0,)


def test_files_that_are_here_are_not_read_again(warehouse: Warehouse, database_url: str) -> None:
    with export_site(job_seconds=0) as site:
        site.put(500)
        kill_at(site, database_url, 6)  # inside of the fourth of five files
        site.asked.clear()
        with FhirClient(site.url) as client:
            done = first_load(client, warehouse, ["Flag", "Patient"], Extraction(validate_share=0))
        assert (done.results["Flag"].inserted, len([one for one in site.asked if FILE in one])) == (200, 2)
        assert site.count(KICK_OFF) == 0
