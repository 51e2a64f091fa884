"""Lost locks and answers of nobody, many times over: `make chaos`. A few of each run in tests/outbox."""

import os
from random import Random

import pytest

from opensrp_dhis2.warehouse.database import Warehouse
from tests.support import foreign_answers, lost_lock
from tests.support.dhis2_site import VERSIONS
from tests.support.surroundings import SetTotals

POINTS = int(os.environ.get("CHAOS_POINTS", "0"))


@pytest.mark.parametrize("seed", range(100, 100 + POINTS))
def test_foreign_answers_make_no_false_delivered_and_nothing_stuck(
    warehouse: Warehouse, set_totals: SetTotals, seed: int
) -> None:
    foreign_answers.play(warehouse, set_totals, VERSIONS[seed % 2], seed)


@pytest.mark.parametrize("seed", range(POINTS // 2))
def test_lost_locks_make_no_value_wrong_and_none_doubled(
    warehouse: Warehouse, set_totals: SetTotals, seed: int
) -> None:
    random = Random(seed)
    moment = random.choice(list(lost_lock.LIFE_SECONDS))
    lost_lock.play_and_judge(warehouse, set_totals, VERSIONS[seed % 2], moment, random.random() < 0.5)
