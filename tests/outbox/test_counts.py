"""The counts that people read, held to the ledger's history: each value once, whatever befell the requests and the run."""

from random import Random
from typing import Any

import pytest

from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.outbox.reporter import Report, markdown
from opensrp_dhis2.report.run import read_run
from tests.support.country import MARCH, UNITS, Country
from tests.support.dhis2_site import AWAY

FEW = UNITS[:3]
FAULTS = [{"kind": kind} for kind in ("hang_up_before", "hang_up_after", "truncated", "lost_write")]
FAULTS += [{"kind": "status", "status": 502}, {"kind": "status", "status": 503}]
HELD = """
with mine as (select batch_id from outbox.batch where run_id = %(run)s and period = '202403')
select
  (select count(distinct value_id) from outbox.history join mine using (batch_id) where state_to = 'sending') as sent,
  (select count(*) from mine) as request_count,
  (select count(*) from outbox.value where period = '202403' and state in ('delivered', 'dropped')) as there,
  (select count(*) from outbox.value where period = '202403' and state = 'refused') as refused,
  (select count(*) from outbox.value where period = '202403' and state = 'withheld') as withheld,
  (select count(*) from outbox.value where period = '202403' and state in ('pending', 'sending')) as waiting,
  (select count(distinct value_id) from outbox.history join mine using (batch_id)
    where state_from = 'sending' and state_to = 'withdrawn') as deleted
"""


def held(here: Country, run: str) -> dict[str, int]:
    """Count from the history what one run did, and where the values stand."""
    with here.warehouse.connect() as connection:
        cursor = connection.execute(HELD, {"run": run})
        return dict(zip([column.name for column in cursor.description or ()], cursor.fetchone() or (), strict=True))


def kept(here: Country, run: str) -> dict[str, Any]:
    with here.warehouse.connect() as connection:
        cursor = connection.execute("select * from outbox.delivery where run_id = %s", (run,))
        return dict(zip([column.name for column in cursor.description or ()], cursor.fetchone() or (), strict=True))


def check(here: Country, run: str) -> dict[str, Any]:
    """Hold what was kept of a run to the history, and its sum to the ledger."""
    said, true = kept(here, run), held(here, run)
    assert {name: said[name] for name in ("sent", "request_count", "refused", "withheld", "waiting")} == {
        name: true[name] for name in ("sent", "request_count", "refused", "withheld", "waiting")
    }
    assert said["accepted"] + said["unchanged"] == true["there"] + true["deleted"]
    parts = ("accepted", "refused", "unchanged", "withheld", "waiting")
    assert sum(said[name] for name in parts) == sum(
        true[name] for name in ("there", "deleted", "refused", "withheld", "waiting")
    )
    assert said["accepted"] <= said["sent"]
    return said


def deliver_to_the_end(here: Country, run: str, tries: int = 5) -> tuple[Report, int]:
    """Try as a step of Dagster does: planned once, delivered until it succeeds."""
    reporter = here.reporter(run)
    reporter.plan(MARCH)
    for number in range(1, tries + 1):
        try:
            return here.reporter(run).deliver(MARCH), number
        except OpenSrpDhis2Error:
            check(here, run)
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("seed", [1, 2])
def test_the_counts_add_up_whatever_befalls_the_requests(here: Country, seed: int) -> None:
    random = Random(seed)
    here.fill(units=FEW)
    here.strike(*random.choices(FAULTS, k=4))
    deliver_to_the_end(here, "run-1")
    first = check(here, "run-1")
    assert (first["sent"], first["accepted"], first["unchanged"]) == (240, 240, 0)
    assert first["request_count"] > 2

    cells = random.sample(sorted(here.stored()), 40)
    here.forget(cells[:10])
    for cell in cells[10:30]:
        here.count(cell, 5000)
    # refused by DHIS2, which knows better than the lookup tables; and held back by these
    here.fill(units=["OuNotAssign", "OuClosed001"])
    here.pretend("insert into lookup.data_set_org_unit values ('DsPerf00001', 'OuNotAssign')")
    here.strike(*random.choices(FAULTS, k=3))
    report, _ = deliver_to_the_end(here, "run-2")
    second = check(here, "run-2")
    assert (second["sent"], second["accepted"], second["unchanged"]) == (110, 30, 210)
    assert (second["refused"], second["withheld"], second["waiting"]) == (80, 80, 0)
    assert report.counts().items() >= {"sent": 110, "accepted": 30, "refused": 80, "withheld": 80}.items()
    assert "| PERF | 202403 | 110 | 30 | 80 | 210 | 80 | 0 |" in markdown([report])


def test_a_value_that_two_tries_of_one_run_sent_counts_once(here: Country) -> None:
    here.fill(units=FEW)
    reporter = here.reporter("run-1")
    reporter.plan(MARCH)
    here.strike({"kind": "hang_up_after"}, *AWAY)
    with pytest.raises(OpenSrpDhis2Error):
        reporter.deliver(MARCH)
    broken_off = check(here, "run-1")
    assert (broken_off["sent"], broken_off["accepted"], broken_off["waiting"]) == (100, 0, 240)
    here.reporter("run-1").deliver(MARCH)
    done = check(here, "run-1")
    assert (done["sent"], done["accepted"], done["waiting"]) == (240, 240, 0)
    with here.warehouse.connect() as connection:
        [period] = read_run(connection, "run-1", here.client.base_url).periods
    assert (period.sent, period.accepted, period.request_count) == (240, 240, done["request_count"])


def test_of_a_run_that_was_killed_the_ledger_says_what_it_sent(here: Country) -> None:
    here.fill(units=FEW)
    here.report("run-1")
    with here.warehouse.connect() as connection:
        connection.execute("delete from outbox.delivery")  # killed before it was kept
        [period] = read_run(connection, "run-1", here.client.base_url).periods
    assert (period.sent, period.accepted) == (240, 240)
