"""Whether DHIS2, the ledger, the indicators and the run log tell one story: every contradiction as a sentence. Pure.

It works the right state out from the totals alone and trusts nothing that the product computed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

Cell = tuple[str, str, str]  # period, data element, org unit


@dataclass(frozen=True)
class Entry:
    """One row of the ledger."""

    value_id: int
    wanted: str | None
    acknowledged: str | None
    state: str
    code: str | None


@dataclass(frozen=True)
class Change:
    """One row of the history."""

    value_id: int
    state_from: str | None
    state_to: str
    wanted_to: str | None
    acknowledged_to: str | None
    run_id: str
    batch_id: int | None


@dataclass(frozen=True)
class Write:
    """One POST as it came to DHIS2, and what the ledger said of it at that moment."""

    generation: int
    run_id: str
    values: dict[Cell, str | None]  # None: to be deleted
    batch_id: int | None  # the one open batch that has just these values
    batch_run_id: str | None
    known_already: tuple[Cell, ...] = ()  # DHIS2 had it so before


@dataclass(frozen=True)
class Evidence:
    """All that is left when a point is over."""

    wanted: dict[Cell, str]
    ledger: dict[Cell, Entry]
    stored: dict[Cell, str]
    history: list[Change]
    batch_states: dict[int, str]
    writes: list[Write]
    run_ids: frozenset[str]  # every run there was
    refusable_units: frozenset[str]  # taken out of the data set behind our back
    unknown_units: frozenset[str]
    zero_is_nothing: frozenset[str]  # data elements whose zero the server keeps as nothing
    is_late_allowed: bool = False  # DHIS2 stored something after it had been read back


def contradictions(of: Evidence) -> list[str]:
    """Give every contradiction, none when all agree."""
    return [*_of_ledger(of), *_of_dhis2(of), *_of_writes(of), *_of_history(of)]


def _of_ledger(of: Evidence) -> Iterator[str]:
    for cell in of.wanted.keys() | of.ledger.keys():
        entry, wanted = of.ledger.get(cell), of.wanted.get(cell)
        if entry is None:
            yield f"{cell}: the indicators say {wanted}, the ledger knows nothing of it"
        elif entry.wanted != wanted:
            yield f"{cell}: the indicators say {wanted}, the ledger wants {entry.wanted}"
        elif (problem := _state_problem(cell, entry, of)) is not None:
            yield f"{cell}: {problem} ({entry})"


def _state_problem(cell: Cell, entry: Entry, of: Evidence) -> str | None:
    match entry.state:
        case "delivered":
            return None if entry.wanted is not None and entry.wanted == entry.acknowledged else "delivered what?"
        case "withdrawn":
            return None if entry.wanted is None and entry.acknowledged is None else "not withdrawn"
        case "dropped":
            return None if cell[1] in of.zero_is_nothing and entry.wanted == "0" else "dropped without a rule"
        case "refused":
            return None if cell[2] in of.refusable_units and entry.code else "refused without a cause"
        case "withheld":
            return None if cell[2] in of.unknown_units and entry.code else "withheld without a cause"
        case other:
            return f"still {other} at the end"


def _of_dhis2(of: Evidence) -> Iterator[str]:
    for cell in of.stored.keys() | of.ledger.keys():
        entry, there = of.ledger.get(cell), of.stored.get(cell)
        if entry is None:
            yield f"{cell}: DHIS2 has {there}, the ledger knows nothing of it"
            continue
        acknowledged, desired = entry.acknowledged, of.wanted.get(cell)
        if not _is_same(cell, acknowledged, there, of) or (entry.state == "dropped" and there is not None):
            yield f"{cell}: DHIS2 has {there}, the ledger believes {acknowledged} ({entry})"
        if entry.state in ("delivered", "dropped", "withdrawn") and not _is_same(cell, desired, there, of):
            yield f"{cell}: DHIS2 has {there}, the indicators say {desired}"


def _is_same(cell: Cell, value: str | None, there: str | None, of: Evidence) -> bool:
    """Compare; 2.41 keeps an insignificant zero as nothing, or as a zero where a value was deleted before."""
    return value == there or (cell[1] in of.zero_is_nothing and {value, there} == {None, "0"})


def _of_writes(of: Evidence) -> Iterator[str]:
    contents: dict[tuple[int, Cell], set[str | None]] = defaultdict(set)
    for number, write in enumerate(of.writes):
        if write.batch_id is None:
            yield f"request {number} of {write.run_id} reached DHIS2 without a committed batch that says so"
        elif write.batch_run_id != write.run_id:
            yield f"request {number} of {write.run_id} is signed by {write.batch_run_id}"
        if write.known_already and not of.is_late_allowed:
            yield f"request {number} of {write.run_id} sends again what DHIS2 has: {write.known_already}"
        for cell, value in write.values.items():
            contents[write.generation, cell].add(value)
    for (generation, cell), values in contents.items():
        if len(values) > 1:
            yield f"{cell}: written with different contents for one plan ({generation}): {values}"


def _of_history(of: Evidence) -> Iterator[str]:
    for batch_id, state in of.batch_states.items():
        if state != "settled":
            yield f"batch {batch_id} is still {state}"
    for stranger in {change.run_id for change in of.history} - of.run_ids:
        yield f"the history names {stranger}, which never ran"
    changes: dict[int, list[Change]] = defaultdict(list)
    for change in of.history:
        changes[change.value_id].append(change)
    for cell, entry in of.ledger.items():
        yield from _broken_chain(cell, entry, changes[entry.value_id])
    sent = Counter(change.batch_id for change in of.history if change.state_to == "sending")
    for write in of.writes:
        if write.batch_id is not None and sent[write.batch_id] != len(write.values):
            yield f"batch {write.batch_id} carried {len(write.values)} values, the history has {sent[write.batch_id]}"


def _broken_chain(cell: Cell, entry: Entry, changes: list[Change]) -> Iterator[str]:
    state = None
    for change in changes:
        if change.state_from != state:
            yield f"{cell}: the history jumps from {state} to {change.state_from}"
        state = change.state_to
    last = changes[-1] if changes else None
    if last is None or (last.state_to, last.wanted_to, last.acknowledged_to) != (
        entry.state, entry.wanted, entry.acknowledged,
    ):  # fmt: skip
        yield f"{cell}: the history ends with {last}, the ledger has {entry}"
