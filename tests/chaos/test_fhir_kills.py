"""The extraction killed at seeded points, between any two requests or statements: the next run ends with everything.

`make chaos` kills at 200 points; CHAOS_SEED=17 kills at one of them again.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime
from random import Random
from threading import Timer

from starlette.requests import Request

from opensrp_dhis2.extract import Extraction, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from tests.chaos.fhir_point import FORGET
from tests.support.fhir_server import FhirServer, fhir_server
from tests.support.sql import execute

POINTS = int(os.environ.get("CHAOS_POINTS", "10"))
SEEDS = [int(os.environ["CHAOS_SEED"])] if "CHAOS_SEED" in os.environ else list(range(1, POINTS + 1))
HOUR_MS = 3_600_000
HOW = Extraction(lag_seconds=600, overlap_seconds=3600, threads=2, validate_share=0)
CHILD = """
import sys
from opensrp_dhis2.extract import Extraction, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
how = Extraction(lag_seconds=600, overlap_seconds=3600, threads=2, validate_share=0)
extract(FhirClient(sys.argv[1], page_size=200), Warehouse(sys.argv[2]), "Flag", how)
"""


def killed_at(server: FhirServer, database_url: str, random: Random) -> int:
    """Run an extraction in a child, kill it some milliseconds after one of its requests; give its exit status."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, server.url, database_url], stderr=subprocess.PIPE)
    point, delay_seconds = random.randint(1, 18), random.choice([0.0, random.uniform(0, 0.1)])

    def kill(request: Request, seen: int) -> None:
        if seen == point:
            Timer(delay_seconds, child.kill).start() if delay_seconds else child.kill()

    server.queries.clear()
    server.watch = kill
    child.communicate()
    server.watch = lambda request, number: None
    return child.returncode


def unread_before_the_watermark(server: FhirServer, warehouse: Warehouse) -> set[str]:
    """Give the ids whose stamp the watermark has passed and that are not there."""
    with warehouse.connect() as connection:
        stands = state.read_to(connection, server.url, "Flag") or datetime(1970, 1, 1, tzinfo=UTC)
        landed = {one for (one,) in connection.execute("select id from raw.flag").fetchall()}
    passed = {one.id for one in server.store.current("Flag") if one.last_updated_ms < stands.timestamp() * 1000}
    return passed - landed


def test_a_run_that_is_killed_anywhere_loses_nothing_and_the_next_one_ends_with_everything(
    warehouse: Warehouse, database_url: str
) -> None:
    statuses = []
    with fhir_server() as server, FhirClient(server.url, page_size=200) as client:
        server.put(3000, stamp_ms=server.now_ms - 2000 * HOUR_MS, step_ms=600_000)
        execute(warehouse, "select raw.ensure_table('flag')")
        for seed in SEEDS:
            execute(warehouse, FORGET)
            statuses.append(killed_at(server, database_url, Random(f"kill {seed}")))
            assert unread_before_the_watermark(server, warehouse) == set(), f"CHAOS_SEED={seed}"
            extract(client, warehouse, "Flag", HOW)
            with warehouse.connect() as connection:
                landed = dict(connection.execute("select id, version_id from raw.flag").fetchall())
                unfinished = connection.execute("select count(*) from raw.slice where state <> 'certified'").fetchone()
            assert (landed, unfinished) == (server.truth(), (0,)), f"CHAOS_SEED={seed}"
    assert len(SEEDS) == 1 or statuses.count(-9) >= len(SEEDS) / 2
