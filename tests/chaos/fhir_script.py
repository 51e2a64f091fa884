"""What happens at the source in one short play: writes before each run, and the faults during it, by seed.

It knows the store's own methods; it knows no reader.
"""

from dataclasses import dataclass, field
from random import Random

from opensrp_dhis2_sandbox.fhir.faults import Plan
from opensrp_dhis2_sandbox.fhir.store import FhirStore

STEP_MS = 1_000_000  # between two runs
MEDDLING_MS = 60_000  # later than any run's present is taken to be
RUNS = 3  # with faults, before the server comes to rest
SHARES = {
    "drop": 0.2, "repeat_page": 0.15, "twice": 0.15, "reorder": 0.15, "expire": 0.15, "truncate": 0.08, "stale": 0.15,
    "filter": 0.2, "remark": 0.1, "loop": 0.1, "error_500": 0.08, "error_502": 0.03, "error_503": 0.03,
    "hang_up": 0.002,
}  # fmt: skip


@dataclass
class Play:
    """One source and its fate; times are milliseconds before the present, which is the last run's."""

    seed: int
    store: FhirStore
    now_ms: int
    number: int = 0
    late: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random, self._meddling = Random(f"play {self.seed}"), Random(f"meddling {self.seed}")

    def lag_ms(self, run: int) -> int:
        """Give the distance of a run's present from the last run's."""
        return (RUNS - run) * STEP_MS

    def write(self, run: int) -> None:
        """Let time go on to a run: what was held back is committed, others are added, changed, deleted and made again."""
        end_ms, random = self.now_ms - self.lag_ms(run), self._random
        start_ms = end_ms - (STEP_MS if run else 500 * STEP_MS)
        for name, stamp_ms in self.late:
            self.put(name, stamp_ms)
        self.late = []
        shared_ms = random.randrange(start_ms, end_ms)
        for _ in range(random.randint(40, 120) if run == 0 else random.randint(0, 15)):
            stamp_ms = shared_ms if random.random() < 0.3 else random.randrange(start_ms, end_ms)
            name = f"f{self.number:04}"
            self.number += 1
            if run and random.random() < 0.1:
                self.late.append((name, stamp_ms))
            else:
                self.put(name, stamp_ms)
        for _ in range(random.randint(0, 8) if run else 0):
            name, stamp_ms = f"f{random.randrange(self.number):04}", random.randrange(start_ms, end_ms)
            if random.random() < 0.3:
                self.store.delete("Flag", name, stamp_ms=stamp_ms)
            else:
                self.put(name, stamp_ms)

    def meddle(self, run: int) -> None:
        """Change or delete something while it is read, now and then, as people do."""
        if self._meddling.random() < 0.1:
            name = f"f{self._meddling.randrange(self.number):04}"
            stamp_ms = self.now_ms - self.lag_ms(run) + self._meddling.randrange(MEDDLING_MS, STEP_MS)
            if self._meddling.random() < 0.3:
                self.store.delete("Flag", name, stamp_ms=stamp_ms)
            else:
                self.put(name, stamp_ms)

    def put(self, name: str, stamp_ms: int) -> None:
        """Write a resource in a version that differs from all before."""
        latest = self.store.latest("Flag", name)
        version = latest.version_id if latest else 0
        self.store.put({"resourceType": "Flag", "id": name, "code": {"text": f"after {version}"}}, stamp_ms=stamp_ms)

    def plan(self, run: int) -> Plan:
        """Draw the faults of a run: a few kinds at a time, a poisoned resource now and then."""
        random = self._random
        kinds = random.sample(sorted(SHARES), random.randint(0, 4))
        names = [f"f{number:04}" for number in range(self.number)]
        return Plan(
            seed=self.seed * 100 + run,
            shares={kind: SHARES[kind] for kind in kinds},
            cannot_give=frozenset(random.sample(names, 1) if random.random() < 0.05 else ()),
            gives_ids=random.random() < 0.5,
            malformed=frozenset(random.sample(names, 1) if random.random() < 0.05 else ()),
            filtered=frozenset(random.sample(names, 5)),
        )

    def truth(self) -> dict[str, int]:
        """Give the version of each living resource."""
        return {one.id: one.version_id for one in self.store.current("Flag")}
