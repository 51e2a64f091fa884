"""One play of the extraction against a source that lies: its runs, and the faults that struck.

It knows the product's public functions; what is written and what goes wrong is the script's.
"""

from collections import Counter
from dataclasses import dataclass, field

from opensrp_dhis2_sandbox.fhir.faults import Faults, Plan, as_of
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from starlette.applications import Starlette

from opensrp_dhis2.errors import FhirError
from opensrp_dhis2.extract import Extraction, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
from tests.chaos.fhir_agreement import Evidence, read_evidence
from tests.chaos.fhir_script import RUNS, STEP_MS, Play
from tests.support.clock import TickingClock
from tests.support.sql import execute

MARGIN_MS = 5_000  # the server's clock has whole seconds
FORGET = "do $$ begin execute (select string_agg(format('delete from raw.%I', table_name), ';') \
from information_schema.tables where table_schema = 'raw' and table_type = 'BASE TABLE'); end $$"


@dataclass
class FhirArena:
    """A running sandbox, its faults, a client of it and a warehouse; one play after another."""

    clock: TickingClock
    app: Starlette
    faults: Faults
    client: FhirClient
    warehouse: Warehouse
    struck: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)

    def play(self, seed: int, plans: list[Plan] | None = None) -> Evidence:
        """Play a seed, with the faults that it draws or with these; give what both sides say afterwards."""
        play = self._begin(seed)
        for run in range(RUNS + 1):
            play.write(run)
            past = as_of(
                play.store, play.now_ms - play.lag_ms(run) - STEP_MS
            )  # a cache older than the overlap is a lie
            if run < RUNS:
                plan = plans[run] if plans else play.plan(run)
                self.faults.begin(plan, past=past, before_answer=lambda run=run: play.meddle(run))  # type: ignore[misc]
            else:
                self.faults.begin(Plan())
            self._run(play, run)
            self.struck.update(self.faults.applied)
        return read_evidence(self.warehouse, play)

    def _begin(self, seed: int) -> Play:
        store = self.app.state.server.store = FhirStore(self.clock)
        self.app.state.server.cursors.forget_all()
        execute(self.warehouse, FORGET)
        return Play(seed, store, self.clock.ms() - MARGIN_MS)

    def _run(self, play: Play, run: int) -> None:
        lag_seconds, overlap_seconds = play.lag_ms(run) / 1000, 1.1 * STEP_MS / 1000
        how = Extraction(lag_seconds, overlap_seconds, threads=1, validate_share=0)
        try:
            extract(self.client, self.warehouse, "Flag", how)
            self.runs["ended"] += 1
        except FhirError as error:
            if run == RUNS:
                raise
            self.runs[type(error).__name__] += 1
