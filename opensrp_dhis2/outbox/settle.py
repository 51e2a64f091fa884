"""Requests that have no verdict, settled by reading DHIS2 back: there means stored, not there means send again.

It knows how to compare; it refuses to send.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.imports.job import FORGOTTEN_AFTER_SECONDS, await_reply
from opensrp_dhis2.dhis2.imports.row_engine import is_droppable_zero
from opensrp_dhis2.dhis2.models import DataValue, ServerVersion
from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2Error
from opensrp_dhis2.messages.codes import Reason
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.lease import Lease
from opensrp_dhis2.outbox.ledger import Batch, RowVerdict, SentRow

Cell = tuple[str, str, str, str]  # data element, org unit, category option combo, attribute option combo
DEAD_AFTER_SECONDS = 86_400.0  # of a job
LONGEST_PAUSE_SECONDS = 30.0  # between two looks at what an unanswered request has stored
_NO_ELEMENT = "E2001"  # no place is to blame


class ReadRow(Protocol):
    """A value of the ledger that is read back."""

    @property
    def data_element_id(self) -> str: ...
    @property
    def org_unit_id(self) -> str: ...
    @property
    def category_option_combo_id(self) -> str: ...
    @property
    def attribute_option_combo_id(self) -> str: ...
    @property
    def wanted(self) -> str | None: ...


class Reading(NamedTuple):
    """What DHIS2 holds of some rows, and of what it does not say: DHIS2's code."""

    there: dict[Cell, str]
    unread: dict[Cell, str]


def settle_unfinished(
    lease: Lease,
    client: Dhis2Client,
    version: ServerVersion,
    run_id: str,
    *,
    pause: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Settle every request that left without a verdict; give how many there were.

    What is read while an import job or another run's request may still be alive is not final, so that it is waited for;
    a job that DHIS2 calls running for more than a day has died.
    Raises: Dhis2UnavailableError (transient) while DHIS2 does not answer; the batches stay open.
    """
    with lease.connect() as connection:
        batches = ledger.unsettled_batches(connection, lease.target)
    for batch in batches:
        if batch.job_id and batch.age_seconds < DEAD_AFTER_SECONDS:
            await_reply(client, batch.job_id, pause=pause)
        elif batch.job_id == "":  # DHIS2 may have begun a job and never told us its id
            pause(max(0.0, FORGOTTEN_AFTER_SECONDS - batch.age_seconds))
        left = max(0.0, client.request_seconds - batch.age_seconds) if batch.job_id is None else 0.0
        settle_by_reading(lease, client, batch, version, run_id, wait_seconds=left, pause=pause, say=say)
    return len(batches)


def settle_by_reading(
    lease: Lease,
    client: Dhis2Client,
    batch: Batch,
    version: ServerVersion,
    run_id: str,
    *,
    wait_seconds: float = 0.0,
    pause: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda _: None,
    note: str = "no answer",
) -> list[RowVerdict]:
    """Settle one batch by what DHIS2 holds, and give the verdicts; what is not there yet is waited for so long.

    What is not there in the end may come all the same: it is kept as a late write, and read once more (proof.py).
    """
    with lease.connect() as connection:
        rows = ledger.sent_rows(connection, batch)
    for turn, wait in enumerate((*_pauses(wait_seconds), None)):
        verdicts = compare(rows, read_back(client, batch.data_set_id, batch.period, rows), version)
        is_all_there = all(verdict.verdict != "lost" for verdict in verdicts)
        if wait is None or is_all_there:
            break
        if turn == 0:
            say(
                f"A request of {batch.value_count} values for data set {batch.data_set_id}, period {batch.period} has no "
                f"answer and may still be stored: it is waited for up to {wait_seconds:.0f} s"
            )
        pause(wait)
    with lease.connect() as connection:
        if not is_all_there:
            ledger.keep_late_writes(connection, batch, client.request_seconds)
        said = f"{note}; settled by reading DHIS2 back"
        ledger.settle(connection, batch, verdicts, http_status=None, note=said, run_id=run_id, is_proven=True)
    return verdicts


def _pauses(seconds: float) -> Iterator[float]:
    """Part a time into pauses of 1, 2, 4 ... seconds."""
    pause = 1.0
    while seconds > 0:
        yield min(pause, seconds)
        seconds, pause = seconds - pause, min(2 * pause, LONGEST_PAUSE_SECONDS)


def read_back(client: Dhis2Client, data_set_id: str, period: str, rows: Sequence[ReadRow]) -> Reading:
    """Return the values that DHIS2 holds for the org units of some rows of one data set and period.

    What is not seen among the values of the data set may still be there: of an element that has left the data set, or
    of a data set that is gone or no longer shared. That is read by data element.
    Raises: Dhis2UnavailableError (transient); another Dhis2Error (terminal) when the account may read nothing at all.
    """
    units = sorted({row.org_unit_id for row in rows})
    try:
        there = _by_cell(client.read_data_values(data_set_id, period, units))
    except Dhis2Error as error:
        if _place_code(error) is None:
            raise
        return _read_by_element(client, period, rows)
    unseen = [row for row in rows if cell(row) not in there]
    inside = _elements_now(client, data_set_id) if unseen else set()
    outside = [row for row in unseen if row.data_element_id not in inside]
    more = _read_by_element(client, period, outside) if outside else Reading({}, {})
    return Reading(there | more.there, more.unread)


def _read_by_element(client: Dhis2Client, period: str, rows: Sequence[ReadRow]) -> Reading:
    """Read values by data element, and org unit by org unit where DHIS2 refuses some: which, it need not say."""
    elements = sorted({row.data_element_id for row in rows})
    units = sorted({row.org_unit_id for row in rows})
    there: dict[Cell, str] = {}
    unread: dict[str, str] = {}
    parts = [units]
    while parts:
        part = parts.pop()
        try:
            there |= _by_cell(client.read_element_values(elements, period, part))
        except Dhis2Error as error:
            code, middle = _place_code(error), len(part) // 2
            if code is None:
                raise
            if middle and code != _NO_ELEMENT:
                parts += [part[middle:], part[:middle]]
                continue
            unread |= dict.fromkeys(part, code)
            if len(unread) == len(units) and code != _NO_ELEMENT and not _may_read(client, period, elements):
                raise
    return Reading(there, {cell(row): unread[row.org_unit_id] for row in rows if row.org_unit_id in unread})


def _may_read(client: Dhis2Client, period: str, elements: list[str]) -> bool:
    """Return whether the account may read these elements in its own org units, so that only some places are refused."""
    units = client.me().org_unit_ids
    try:
        _by_cell(client.read_element_values(elements, period, units))
    except Dhis2Error as error:
        if _place_code(error) is None:
            raise
        return False
    return bool(units)


def _elements_now(client: Dhis2Client, data_set_id: str) -> set[str]:
    """Return the elements that DHIS2 has in the data set; none when it has no such data set for this account."""
    try:
        found = client.get_json(f"dataSets/{data_set_id}", {"fields": "id,dataSetElements[dataElement[id]]"})
    except Dhis2Error as error:
        if error.is_transient:
            raise
        return set()
    return {one["dataElement"]["id"] for one in found.get("dataSetElements", ())}


def _place_code(error: Dhis2Error) -> str | None:
    """Return DHIS2's code where it refuses to read a place or knows it no more; None: another fault, or the account's.

    Servers before 2.43 refuse with an empty answer (34g).
    """
    if error.status == 200 and isinstance(error, Dhis2AuthenticationError):
        return "E2012"
    found = re.search(r"\bE20[01]\d\b", str(error)) if error.status == 409 else None
    return found[0] if found else None


def _by_cell(values: Iterable[DataValue]) -> dict[Cell, str]:
    return {
        (v.data_element, v.org_unit, v.category_option_combo, v.attribute_option_combo): v.value or ""
        for v in values
        if not v.is_deleted
    }


def compare(rows: list[SentRow], reading: Reading, version: ServerVersion) -> list[RowVerdict]:
    """Judge each value by what is there: pure."""
    return [_judged(row, reading, can_be_dropped(row, version)) for row in rows]


def can_be_dropped(row: SentRow, version: ServerVersion) -> bool:
    """Return whether this server drops the value: up to 2.42, a zero of an element where zero means nothing."""
    return version.import_engine == "row" and is_droppable_zero(
        row.wanted,
        value_type=row.value_type or "",
        aggregation_type=row.aggregation_type or "",
        is_zero_significant=bool(row.zero_is_significant),
    )


def cell(row: ReadRow) -> Cell:
    """Name the cell of DHIS2 that a row is about."""
    return (row.data_element_id, row.org_unit_id, row.category_option_combo_id, row.attribute_option_combo_id)


def _judged(row: SentRow, reading: Reading, is_droppable: bool) -> RowVerdict:
    there, code = reading.there.get(cell(row)), reading.unread.get(cell(row))
    if code is not None:
        return RowVerdict(
            row.row_index, "blocked", code, "it cannot be read back; the next plan looks whether it may go"
        )
    if row.wanted == there:
        return RowVerdict(row.row_index, "deleted" if row.wanted is None else "stored")
    if there is None and is_droppable:
        return RowVerdict(row.row_index, "dropped")
    return RowVerdict(row.row_index, "lost", Reason.WRITE_LOST, "not stored; it will be sent again")
