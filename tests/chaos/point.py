"""One point of chaos played: generation after generation of totals, runs that are killed, and what is left at the end.

It knows the order of things; what is drawn stands in script.py, what must hold in agreement.py.
"""

import signal
from dataclasses import dataclass, field
from functools import partial
from random import Random

import psycopg
from psycopg.rows import class_row
from sqlalchemy import make_url

from tests.chaos.agreement import Cell, Change, Entry, Evidence, Write, contradictions
from tests.chaos.gateway import Gateway, Passing, Weather
from tests.chaos.process import Sandbox, ended, start
from tests.chaos.reaper import Reaper
from tests.chaos.reporter import TRANSIENT, Run, report
from tests.chaos.script import ELEMENTS, GENERATIONS, UNKNOWN_UNIT, Script, Totals, wanted
from tests.chaos.sql_relay import SqlRelay

MAX_RUNS = 12  # of one generation
FAULT_CHANCE = 0.25  # of a request for data values, while faults are left
MAX_GENERATIONS = 12  # the last ones only until every kill has happened
MEASURES = {element: measure for measure, element in ELEMENTS.items()}
WIPE = "truncate outbox.history, outbox.delivery, outbox.value, outbox.batch restart identity cascade"
OPEN_BATCH = "select batch_id, import_strategy, run_id from outbox.batch where state = 'sending'"
OPEN_VALUES = """
select period, data_element_id, org_unit_id, coalesce(wanted, acknowledged) from outbox.value
where batch_id = %s and state = 'sending'"""
LEDGER = """
select period, data_element_id, org_unit_id, value_id, wanted, acknowledged, state, code from outbox.value"""
HISTORY = """
select value_id, state_from, state_to, wanted_to, acknowledged_to, run_id, batch_id
from outbox.history order by value_id, changed_at"""


@dataclass
class Played:
    """What came of a point."""

    kills: int = 0
    runs: int = 0
    faults: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Arena:
    """One sandbox, one database, and the two go-betweens, in which one point after the other is played."""

    def __init__(self, database_url: str, sandbox: Sandbox, *, zero_is_nothing: frozenset[str]) -> None:
        self._zero_is_nothing = zero_is_nothing
        self.sandbox = sandbox
        self.gateway = Gateway(sandbox, self._note)
        self._relay = SqlRelay(database_url, Reaper())
        url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self.database: psycopg.Connection = psycopg.connect(url, autocommit=True)
        self.writes: list[Write] = []
        self._run_ids = set[str]()
        self._generation, self._run = 0, Run("", "", "", (), 1, "none")

    def close(self) -> None:
        self.gateway.close()
        self._relay.close()
        self.database.close()

    def play(self, script: Script, name: str, weather: Random) -> Played:
        """Play a point to its end and judge it."""
        self.begin(script, Weather(weather, FAULT_CHANCE, script.fault_count))
        played = Played()
        for generation in range(MAX_GENERATIONS):
            if generation >= GENERATIONS and not self.gateway.reaper.left:
                break
            totals = script.totals[generation if generation < GENERATIONS else 2 - generation % 2]
            self.set_totals(totals)
            self._generation, last = generation, totals
            self.sandbox.unassign(script.unassigned if generation else frozenset())
            self._report(script, name, played, is_hasty=script.is_hasty and generation + 1 < GENERATIONS)
        if not played.kills:
            played.problems.append("no run was killed: the point shows nothing")
        played.problems += self._quiet_run(script, name)
        played.problems += contradictions(self.evidence(script, last))
        played.faults = self.gateway.faults_seen
        return played

    def begin(self, script: Script, weather: Weather) -> None:
        """Start from nothing."""
        self.sandbox.unassign(frozenset())
        self.sandbox.clear()
        self.database.execute(WIPE)
        self.writes, self._run_ids = [], set()
        reaper = Reaper(script.kills)
        self.gateway.reaper = self._relay.reaper = reaper
        self.gateway.weather, self.gateway.faults_seen = weather, []

    def set_totals(self, totals: Totals) -> None:
        """Let the indicators say something else."""
        rows = [(MEASURES[element], period, unit, total) for (period, element, unit), total in totals.items()]
        with self.database.transaction(), self.database.cursor() as cursor:
            cursor.execute("delete from indicator.value")
            cursor.executemany("insert into indicator.value values ('visits', %s, 'Monthly', %s, %s, '{}', %s)", rows)

    def _report(self, script: Script, name: str, played: Played, *, is_hasty: bool) -> None:
        """Run until a run ends well, or until the first kill when in haste."""
        for _ in range(MAX_RUNS):
            played.runs += 1
            code = self.run_once(script, f"{name} run {played.runs}")
            played.kills += code == -signal.SIGKILL
            if code == 0 or (is_hasty and code == -signal.SIGKILL):
                return
            if code not in (-signal.SIGKILL, TRANSIENT):
                played.problems.append(f"run {played.runs} ended with {code}")
                return
        played.problems.append(f"not done after {MAX_RUNS} runs")

    def run_once(self, script: Script, run_id: str) -> int | None:
        """Run one process to its end, whoever brings it about, and give its exit code."""
        urls = self._relay.url, self.gateway.url
        self._run = Run(run_id, *urls, script.periods, script.batch_size, script.zeros)
        self._run_ids.add(run_id)
        code = ended(self.gateway.reaper.follow(partial(start, report, self._run)))
        self.gateway.drain()
        return code

    def _quiet_run(self, script: Script, name: str) -> list[str]:
        """Run once more with nothing changed and nothing broken: it must send nothing."""
        self.gateway.weather.left, before = 0, len(self.writes)
        self.gateway.reaper = self._relay.reaper = Reaper()
        code = self.run_once(script, f"{name} quiet run")
        sent = len(self.writes) - before
        return [f"the quiet run ended with {code} and sent {sent} requests"] if code or sent else []

    def _note(self, passing: Passing) -> None:
        """Write down a request that reaches DHIS2, with what the ledger has committed about it at this moment."""
        stored = self.sandbox.stored()
        known = [cell for cell, value in passing.values.items() if self._is_known(cell, value, passing, stored)]
        batch_id, run_id = self._open_batch(passing)
        values = {cell: None if passing.is_delete else value for cell, value in passing.values.items()}
        self.writes.append(Write(self._generation, self._run.run_id, values, batch_id, run_id, tuple(known)))

    def _is_known(self, cell: Cell, value: str, passing: Passing, stored: dict[Cell, str]) -> bool:
        if passing.is_delete:  # a dropped zero is taken back by a deletion of nothing
            return cell not in stored and not (value == "0" and cell[1] in self._zero_is_nothing)
        return stored.get(cell) == value

    def _open_batch(self, passing: Passing) -> tuple[int | None, str | None]:
        batches = self.database.execute(OPEN_BATCH).fetchall()
        for batch_id, strategy, run_id in batches if len(batches) == 1 else ():
            rows = self.database.execute(OPEN_VALUES, (batch_id,)).fetchall()
            is_same = {(row[0], row[1], row[2]): row[3] for row in rows} == passing.values
            if is_same and (strategy == "DELETE") == passing.is_delete:
                return batch_id, run_id
        return None, None

    def evidence(self, script: Script, totals: Totals) -> Evidence:
        """Collect what is left of a point."""
        ledger: dict[Cell, Entry] = {(r[0], r[1], r[2]): Entry(*r[3:]) for r in self.database.execute(LEDGER)}
        with self.database.cursor(row_factory=class_row(Change)) as cursor:
            history = cursor.execute(HISTORY).fetchall()
        states: dict[int, str] = dict(self.database.execute("select batch_id, state from outbox.batch").fetchall())
        return Evidence(
            wanted(script, totals), ledger, self.sandbox.stored(), history, states, self.writes,
            frozenset(self._run_ids), script.unassigned,
            frozenset({UNKNOWN_UNIT}), self._zero_is_nothing, "POST late" in self.gateway.faults_seen,
        )  # fmt: skip
