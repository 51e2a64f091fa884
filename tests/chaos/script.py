"""What one point of chaos is, all of it drawn from its seed: totals by generation, kills, faults, sizes. Pure."""

from dataclasses import dataclass
from random import Random
from typing import Literal

from tests.chaos.agreement import Cell
from tests.chaos.reaper import STAGES, Channel, Kill

PERIODS = ("202507", "202508", "202509")
ELEMENTS = {"visits": "DeVisits001", "signed": "DeSigned001"}  # measure -> data element
UNITS = tuple(f"OuFacil{number:04d}" for number in range(1, 11))
UNKNOWN_UNIT = "OuUnknown01"  # in the mapping, no longer in DHIS2
GENERATIONS = 3
LAST_EVENT: dict[Channel, int] = {"http": 14, "sql": 160}  # about what one generation has of them

Totals = dict[Cell, int]


@dataclass(frozen=True)
class Script:
    """One point: `totals` holds what the indicators say, generation by generation."""

    periods: tuple[str, ...]
    batch_size: int
    zeros: Literal["none", "reporting_units"]
    totals: tuple[Totals, ...]
    unassigned: frozenset[str]  # from the second generation on
    kills: tuple[Kill, ...]
    fault_count: int
    is_hasty: bool  # after a kill the totals change before the next run


def write_script(random: Random) -> Script:
    """Draw a point."""
    periods = tuple(random.sample(PERIODS, random.choice((1, 2, 3))))
    cells = [(p, e, u) for p in periods for e in ELEMENTS.values() for u in (*UNITS, UNKNOWN_UNIT)]
    totals = [{cell: _total(random) for cell in cells if random.random() < 0.7}]
    for _ in range(1, GENERATIONS):
        totals.append(_changed(random, totals[-1], cells))
    return Script(
        periods,
        random.choice((4, 7, 15, 40)),
        random.choice(("none", "reporting_units")),
        tuple(totals),
        frozenset(random.sample(UNITS, 1)) if random.random() < 0.4 else frozenset(),
        tuple(_kill(random) for _ in range(random.choice((1, 1, 2, 3)))),
        random.choice((0, 1, 2, 4)),
        random.random() < 0.3,
    )


def wanted(script: Script, totals: Totals) -> dict[Cell, str]:
    """Work out what should be in DHIS2, from the totals and the policy of zeros alone."""
    if script.zeros == "none":
        return {cell: str(total) for cell, total in totals.items() if total}
    filled = {(period, element, unit): "0" for period, _, unit in totals for element in ELEMENTS.values()}
    return filled | {cell: str(total) for cell, total in totals.items()}


def _total(random: Random) -> int:
    return random.randint(0, 7)


def _changed(random: Random, totals: Totals, cells: list[Cell]) -> Totals:
    """Change, take away and add about a third of the totals."""
    changed = dict(totals)
    for cell in cells:
        if random.random() < 0.35:
            if cell in changed and random.random() < 0.4:
                del changed[cell]
            else:
                changed[cell] = _total(random)
    return changed


def _kill(random: Random) -> Kill:
    channel: Channel = random.choice(("http", "sql"))
    return Kill(channel, random.randint(1, LAST_EVENT[channel]), random.choice(STAGES[channel]))
