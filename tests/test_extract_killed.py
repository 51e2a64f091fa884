"""A process that is killed while it extracts: whatever it was doing, the next run ends with everything."""

import subprocess
import sys
from datetime import UTC, datetime

from starlette.requests import Request

from opensrp_dhis2.extract import Extraction, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.fhir_server import FhirServer, fhir_server

CHILD = """
import sys
from opensrp_dhis2.extract import Extraction, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
extract(FhirClient(sys.argv[1], page_size=500), Warehouse(sys.argv[2]), "Flag", Extraction(validate_share=0))
"""
HOUR_MS = 3_600_000


def kill_at_request(server: FhirServer, database_url: str, number: int) -> int:
    """Run an extraction in a child and kill it when it asks for its nth page; gives its exit status."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, server.url, database_url], stderr=subprocess.PIPE)

    def kill(request: Request, seen: int) -> None:
        if seen == number:
            child.kill()

    server.queries.clear()
    server.watch = kill
    child.communicate()
    return child.returncode


def test_a_run_that_is_killed_anywhere_loses_nothing(warehouse: Warehouse, database_url: str) -> None:
    with fhir_server() as server:
        server.put(6000, stamp_ms=server.now_ms - 2000 * HOUR_MS, step_ms=600_000)
        for number in (1, 5, 9):
            assert kill_at_request(server, database_url, number) == -9
            with warehouse.connect() as connection:
                stands = state.read_to(connection, server.url, "Flag") or datetime(1970, 1, 1, tzinfo=UTC)
                landed = {one for (one,) in connection.execute("select id from raw.flag").fetchall()}
            expected = {v.id for v in server.store.current("Flag") if v.last_updated_ms < stands.timestamp() * 1000}
            assert expected <= landed

        server.watch = lambda request, number: None
        with FhirClient(server.url) as client:
            extract(client, warehouse, "Flag", Extraction(validate_share=0))
        with warehouse.connect() as connection:
            assert dict(connection.execute("select id, version_id from raw.flag").fetchall()) == server.truth()
            assert connection.execute("select count(*) from raw.superseded").fetchone() == (0,)
