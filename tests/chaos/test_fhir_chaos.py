"""A FHIR server that drops, repeats, reorders, expires, cuts off, hangs up, caches, filters and commits late, by seed.

`make chaos` plays 10,000 short plays; CHAOS_SEED=17 plays one of them again.
"""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.faults import Faults, Plan
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
from tests.chaos.fhir_agreement import false_alarms, undetected
from tests.chaos.fhir_point import FhirArena
from tests.chaos.fhir_script import RUNS
from tests.support.clock import TickingClock

PLAYS = 50 * int(os.environ.get("CHAOS_POINTS", "4"))
SEEDS = [int(os.environ["CHAOS_SEED"])] if "CHAOS_SEED" in os.environ else list(range(1, PLAYS + 1))


@pytest.fixture
def arena(warehouse: Warehouse) -> Iterator[FhirArena]:
    clock, faults = TickingClock(), Faults()
    app = create_app(FhirStore(clock), faults=faults)
    with running(app) as url, FhirClient(f"{url}/fhir", page_size=20) as client:
        yield FhirArena(clock, app, faults, client, warehouse)


def test_at_rest_nothing_is_lost_unsaid_and_nothing_is_said_for_nothing(arena: FhirArena) -> None:
    problems = []
    for seed in SEEDS:
        evidence = arena.play(seed)
        problems += [f"CHAOS_SEED={seed}: {each}" for each in undetected(evidence) + false_alarms(evidence)]
    print(f"\n{len(SEEDS)} plays; {dict(arena.runs)}; faults {dict(sorted(arena.struck.items()))}")
    assert not problems, f"{len(problems)} problems\n" + "\n".join(problems[:50])


def test_without_faults_both_sides_agree_to_the_version(arena: FhirArena) -> None:
    evidence = arena.play(1, [Plan()] * RUNS)
    assert {one: evidence.landed[one] for one in evidence.source} == evidence.source
    assert evidence.rejected | evidence.short == frozenset()
    assert arena.struck.total() == 0


def test_a_loss_behind_the_warehouses_back_is_noticed(arena: FhirArena) -> None:
    evidence = arena.play(1, [Plan()] * RUNS)
    gone = min(evidence.source)
    without = {one: version for one, version in evidence.landed.items() if one != gone}
    assert undetected(replace(evidence, landed=without)) == [
        f"{gone} is version {evidence.source[gone]} at the source and missing here, and no row says so"
    ]
    assert false_alarms(replace(evidence, short=frozenset({gone}))) == [f"{gone} is told missing, and is not"]
