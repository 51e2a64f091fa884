"""What the source has, what the warehouse has, and what the warehouse says that it has not.

Pure, but for reading both: it knows rows, and not how they came about.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from opensrp_dhis2.warehouse.database import Warehouse
from tests.chaos.fhir_script import Play

WINDOW = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
LANDED = "select id, version_id from raw.flag where not is_deleted"
REJECTED = "select distinct id, reason from raw.rejected"
HAS_SLICES = "select to_regclass('raw.slice') is not null"
SHORT = "select distinct unnest(missing_ids) from raw.slice where state = 'incomplete'"
UNCERTIFIED = "select state, kind, unlisted_count from raw.slice where state <> 'certified'"


@dataclass(frozen=True)
class Evidence:
    """Versions by id on both sides; `rejected` and `short` are the ids that a row of the warehouse names as missing."""

    source: dict[str, int]
    landed: dict[str, int]
    rejected: frozenset[str] = frozenset()
    short: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    uncertified: tuple[str, ...] = ()


def read_evidence(warehouse: Warehouse, play: Play) -> Evidence:
    """Read both sides."""
    with warehouse.connect() as connection:
        landed = dict(connection.execute(LANDED).fetchall())
        rejected = connection.execute(REJECTED).fetchall()
        short, uncertified = frozenset[str](), list[str]()
        if connection.execute(HAS_SLICES).fetchone() == (True,):
            short = frozenset(one for (one,) in connection.execute(SHORT).fetchall())
            uncertified = [
                f"a {kind} slice is {state}, {count} unlisted"
                for state, kind, count in connection.execute(UNCERTIFIED).fetchall()
            ]
    named = {one for one, _ in rejected if one} | _in_windows(play, [why for one, why in rejected if not one])
    source = play.truth()
    deleted = frozenset(one.id for one in play.store.history("Flag") if one.is_deleted) - source.keys()
    return Evidence(source, landed, frozenset(named), short, deleted, tuple(uncertified))


def _in_windows(play: Play, reasons: list[str]) -> set[str]:
    """Give the ids whose stamp lies in a window that a row without an id tells."""
    windows = [[datetime.fromisoformat(at) for at in WINDOW.findall(reason)] for reason in reasons]
    stamps = [(one.id, datetime.fromtimestamp(one.last_updated_ms / 1000, UTC)) for one in play.store.current("Flag")]
    return {one for one, at in stamps for window in windows if len(window) == 2 and window[0] <= at < window[1]}


def undetected(evidence: Evidence) -> list[str]:
    """List what is missing or old without a row that says so, and what nobody ever wrote."""
    told = evidence.rejected | evidence.short
    lost = [
        f"{one} is version {version} at the source and {evidence.landed.get(one, 'missing')} here, and no row says so"
        for one, version in evidence.source.items()
        if evidence.landed.get(one) != version and one not in told
    ]
    made_up = evidence.landed.keys() - evidence.source.keys() - evidence.deleted
    return lost + [f"{one} is here and never was at the source" for one in sorted(made_up)]


def false_alarms(evidence: Evidence) -> list[str]:
    """List what a slice says is missing though it is here or gone, and slices open while the source hides nothing."""
    here = [one for one in sorted(evidence.short) if evidence.landed.get(one) == evidence.source.get(one)]
    return [f"{one} is told missing, and is not" for one in here] + list(evidence.uncertified)
