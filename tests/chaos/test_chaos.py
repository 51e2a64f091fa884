"""The push killed at seeded points while DHIS2 misbehaves: afterwards everything agrees, to the value.

`make chaos` plays 200 points; CHAOS_SEED=17 plays one of them again, on both engines.
"""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tests.chaos.agreement import contradictions
from tests.chaos.gateway import Weather
from tests.chaos.point import Arena
from tests.chaos.reporter import TRANSIENT
from tests.chaos.script import Script, wanted, write_script

POINTS = int(os.environ.get("CHAOS_POINTS", "12"))  # half of them on each engine
SEEDS = [int(os.environ["CHAOS_SEED"])] if "CHAOS_SEED" in os.environ else list(range(1, POINTS // 2 + 1))
CELL = ("202509", "DeSigned001", "OuFacil0001")
TOTALS = {CELL: 3, ("202509", "DeVisits001", "OuFacil0001"): 4, ("202509", "DeVisits001", "OuFacil0002"): 5}
CALM = Script(("202509",), 2, "none", (TOTALS,), frozenset(), (), 0, is_hasty=False)


def test_after_kills_and_faults_dhis2_ledger_and_indicators_agree(arenas: dict[str, Arena]) -> None:
    with ThreadPoolExecutor(len(arenas)) as pool:
        problems = [problem for found in pool.map(_play, *zip(*arenas.items(), strict=True)) for problem in found]
    assert not problems, "\n".join(problems)


def _play(version: str, arena: Arena) -> list[str]:
    """Play every seed on one engine, say what happened, and give what was wrong."""
    problems, counts = list[str](), Counter[str]()
    for seed in SEEDS:
        played = arena.play(write_script(Random(f"script {seed}")), f"seed {seed}", Random(f"weather {seed}"))
        counts.update(played.faults, runs=played.runs, kills=played.kills, requests=len(arena.writes))
        problems += [f"{version}, CHAOS_SEED={seed}: {each} (faults: {played.faults})" for each in played.problems]
    print(f"\n{version}: {len(SEEDS)} points; {', '.join(f'{name} {count}' for name, count in sorted(counts.items()))}")
    return problems


def test_a_server_that_takes_no_write_is_left_alone_and_served_later(arenas: dict[str, Arena]) -> None:
    """Reads work all the while, so that every read-back says: not there."""
    for arena in arenas.values():
        arena.begin(CALM, Weather(Random(1), 1.0, 1000, ("POST status_before",)))
        arena.set_totals(TOTALS)
        assert arena.run_once(CALM, "run 1") == TRANSIENT
        assert (len(arena.writes), arena.sandbox.stored()) == (3, {})
        assert {entry.state for entry in arena.evidence(CALM, TOTALS).ledger.values()} == {"pending"}
        arena.gateway.weather.left = 0
        assert arena.run_once(CALM, "run 2") == 0
        assert contradictions(arena.evidence(CALM, TOTALS)) == []
        assert arena.sandbox.stored() == wanted(CALM, TOTALS)


def test_a_proxy_that_hides_every_answer_costs_no_second_request(arenas: dict[str, Arena]) -> None:
    for arena in arenas.values():
        arena.begin(CALM, Weather(Random(1), 1.0, 1000, ("POST status_after",)))
        arena.set_totals(TOTALS)
        assert arena.run_once(CALM, "run 1") == 0
        assert sorted(cell for write in arena.writes for cell in write.values) == sorted(TOTALS)
        assert contradictions(arena.evidence(CALM, TOTALS)) == []


def test_a_value_taken_away_behind_the_ledgers_back_is_noticed(arenas: dict[str, Arena]) -> None:
    arena = arenas["2.43"]
    arena.begin(CALM, Weather())
    arena.set_totals(TOTALS)
    assert arena.run_once(CALM, "run 1") == 0
    assert contradictions(arena.evidence(CALM, TOTALS)) == []
    arena.sandbox.forget_value(CELL)
    assert [found for found in contradictions(arena.evidence(CALM, TOTALS)) if "DHIS2 has None" in found]
