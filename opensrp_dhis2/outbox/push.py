"""The sending of one data set and period, one request after the other, until every value has a verdict.

It knows the order of requests and when to stop; what a reply means is read by dhis2/import_reply.py.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.import_reply import interpret
from opensrp_dhis2.dhis2.models import DataValue, SentValue, ServerVersion
from opensrp_dhis2.dhis2.verdict import Interpretation, Verdict
from opensrp_dhis2.dhis2.verdict import RowVerdict as SaidVerdict
from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2UnavailableError, ImportRejectedError
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.ledger import Batch, RowVerdict, SentRow, Slice
from opensrp_dhis2.outbox.settle import MAX_ATTEMPTS, can_be_dropped, compare, read_back, settle_by_reading
from opensrp_dhis2.warehouse.database import Warehouse

FIRST_BATCH_SIZE = 100  # into a period that DHIS2 has never seen
MAX_GUILTY_IN_A_ROW = 3  # single values refused for their group's cause with nothing accepted between
STRICT = dict.fromkeys(
    (
        "strictPeriods", "strictDataElements", "strictCategoryOptionCombos", "strictAttributeOptionCombos",
        "strictOrganisationUnits", "requireCategoryOptionCombo", "requireAttributeOptionCombo",
    ),
    "true",
)  # fmt: skip


@dataclass
class Delivery:
    """What one delivery did, in requests and values."""

    requests: int = 0
    sent: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)

    def add(self, verdicts: Counter[str]) -> None:
        """Count one more request and its verdicts."""
        self.requests += 1
        self.sent += verdicts.total()
        self.verdicts.update(verdicts)

    @property
    def accepted(self) -> int:
        return sum(self.verdicts[name] for name in ("stored", "unchanged", "deleted", "dropped"))

    @property
    def refused(self) -> int:
        return self.verdicts["refused"]


@dataclass
class Pace:
    """How many values the next request may carry: fewer while a guilty one is searched for among known suspects."""

    size: int
    first: int | None
    suspects: int = 0
    guilty_in_a_row: int = 0

    def next_size(self) -> int:
        return max(1, self.suspects // 2) if self.suspects else self.first or self.size

    def heard(self, verdicts: Counter[str]) -> None:
        """Narrow the search after a request that was blocked or lost without a name, widen it after any other."""
        self.first = None
        size = verdicts.total()
        if verdicts["blocked"] or verdicts["lost"]:
            self.suspects = 0 if verdicts["refused"] else size
            return
        is_found = verdicts == {"refused": 1} and self.suspects > 0
        self.guilty_in_a_row = self.guilty_in_a_row + 1 if is_found else 0
        self.suspects = 0 if is_found else max(0, self.suspects - size)


def push(
    warehouse: Warehouse,
    client: Dhis2Client,
    of: Slice,
    *,
    version: ServerVersion,
    run_id: str,
    batch_size: int,
    progress: Callable[[Delivery], None] = lambda _: None,
) -> Delivery:
    """Send what is pending for one data set and period, one request after the other, until nothing is.

    The caller holds the target's lock, has settled what was open, and has planned.

    Raises: Dhis2UnavailableError (transient) when DHIS2 stops answering: the open batch is settled by the next run.
        ImportRejectedError, Dhis2AuthenticationError (terminal) when the cause concerns the account, or all alike;
        what is left stays pending.
    """
    delivery = Delivery()
    with warehouse.connect() as connection:
        is_known = ledger.is_period_known(connection, of)
    pace = Pace(batch_size, None if is_known else min(FIRST_BATCH_SIZE, batch_size))
    while True:
        with warehouse.connect() as connection:
            batch = ledger.cut_batch(connection, of, pace.next_size(), run_id)
        if batch is None:
            return delivery
        interpretation, verdicts = _send(warehouse, client, batch, version, run_id)
        delivery.add(verdicts)
        progress(delivery)
        pace.heard(verdicts)
        _stop_if_hopeless(interpretation, pace, of)


def _send(
    warehouse: Warehouse, client: Dhis2Client, batch: Batch, version: ServerVersion, run_id: str
) -> tuple[Interpretation | None, Counter[str]]:
    """Send one committed batch and settle it; without an interpretation when only a read-back could tell."""
    with warehouse.connect() as connection:
        body, rows = ledger.payload(connection, batch), ledger.sent_rows(connection, batch)
    try:
        reply = client.post_data_value_set(body, params=_parameters(batch, version))
    except Dhis2UnavailableError:
        verdicts = settle_by_reading(warehouse, client, batch, version, run_id)
        return None, Counter(verdict.verdict for verdict in verdicts)
    interpretation = interpret(reply, [_sent_value(row, batch, version) for row in rows], version)
    verdicts = _with_read_back(client, batch, rows, interpretation, version)
    with warehouse.connect() as connection:
        ledger.settle(
            connection, batch, verdicts, http_status=reply.status, note=interpretation.cause or "", run_id=run_id
        )
    return interpretation, Counter(verdict.verdict for verdict in verdicts)


def _parameters(batch: Batch, version: ServerVersion) -> dict[str, str]:
    """Ask the engine before 2.43 to check what 2.43 always checks; it then names each faulty row."""
    return {"importStrategy": batch.import_strategy} | ({} if version.has_group_import else STRICT)


def _sent_value(row: SentRow, batch: Batch, version: ServerVersion) -> SentValue:
    value = DataValue(
        row.data_element_id, batch.period, row.org_unit_id, row.category_option_combo_id,
        row.attribute_option_combo_id, row.wanted if row.wanted is not None else row.acknowledged,
        is_deleted=row.wanted is None,
    )  # fmt: skip
    return SentValue(value, is_droppable_zero=can_be_dropped(row, version))


def _with_read_back(
    client: Dhis2Client, batch: Batch, rows: list[SentRow], interpretation: Interpretation, version: ServerVersion
) -> list[RowVerdict]:
    """Give a verdict for each row, from the reply where it speaks, from what DHIS2 holds where it does not."""
    read = [_row_verdict(row, said, len(rows)) for row, said in zip(rows, interpretation.rows, strict=True)]
    if _is_about_the_account(interpretation):
        return [RowVerdict(row.row_index, Verdict.BLOCKED.value, interpretation.cause) for row in rows]
    if Verdict.UNKNOWN not in interpretation.tally():
        return read
    there = compare(rows, read_back(client, batch, rows), version)
    return [seen if said.verdict == Verdict.UNKNOWN else said for said, seen in zip(read, there, strict=True)]


def _row_verdict(row: SentRow, said: SaidVerdict, row_count: int) -> RowVerdict:
    """Take over a verdict; a value that stays blocked though it went alone is refused for good."""
    is_hopeless = said.verdict is Verdict.BLOCKED and row_count == 1 and row.attempt >= MAX_ATTEMPTS
    return RowVerdict(row.row_index, Verdict.REFUSED.value if is_hopeless else said.verdict.value, said.code)


def _is_about_the_account(interpretation: Interpretation) -> bool:
    """Tell whether every value fell for the account's rights, so that no other request would fare better."""
    return interpretation.is_user_cause and interpretation.cause is not None and len(interpretation.tally()) == 1


def _stop_if_hopeless(interpretation: Interpretation | None, pace: Pace, of: Slice) -> None:
    where = f"data set {of.data_set_id}, period {of.period}"
    if interpretation is None:
        return
    if _is_about_the_account(interpretation):
        raise Dhis2AuthenticationError(
            f"DHIS2 refuses this account's values ({interpretation.cause}) for {where}: ask the DHIS2 administrator for "
            "data write access to the data set, its org units and category options; the values stay pending",
            url=of.target,
        )
    if pace.guilty_in_a_row >= MAX_GUILTY_IN_A_ROW:
        raise ImportRejectedError(
            f"DHIS2 refuses one value after the other for one cause ({interpretation.cause}) for {where}: "
            "mend that cause in DHIS2 or in the mapping; the rest stays pending",
            url=of.target,
        )
