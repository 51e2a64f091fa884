"""Completions: which units are complete in the ledger, registered in DHIS2 after the values, and deleted if asked to.

It knows whose registration is whose and when to ask; requests and their answers stand in dhis2/registrations.py.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from psycopg.rows import class_row

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.models import Verdict
from opensrp_dhis2.dhis2.registrations import (
    REGISTRATIONS_PER_REQUEST,
    Completion,
    CompletionVerdict,
    delete_registrations,
    read_registrations,
    register,
)
from opensrp_dhis2.errors import Dhis2UnavailableError
from opensrp_dhis2.messages.catalogue import Catalogue, catalogue
from opensrp_dhis2.messages.codes import explain
from opensrp_dhis2.outbox.lease import Lease
from opensrp_dhis2.outbox.ledger import DataSetPeriod, as_json
from opensrp_dhis2.plain_text import markdown_table
from opensrp_dhis2.warehouse.database import Connection

Policy = Literal["never", "when_complete", "mirror"]
OPEN_STATES = ("waiting", "wanted", "to_delete", "refused", "withheld")
ROUNDS = 2  # an answer that never came is looked for at once, and asked for once more


@dataclass(frozen=True)
class DueUnit:
    """A unit that DHIS2 is to be asked about; `is_ours`: a registration of ours may stand there."""

    org_unit_id: str
    attribute_option_combo_id: str
    is_wanted: bool
    is_ours: bool
    category_combo_id: str | None = None  # None: the default combo, which a request need not name
    category_option_ids: list[str] | None = None


@dataclass(frozen=True)
class RegistrationState:
    """Where a unit's completion stands now, as outbox.completion has it."""

    org_unit_id: str
    attribute_option_combo_id: str
    state: str
    is_ours: bool
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class OpenUnits:
    """Units that are not registered as complete, or still are, for one reason."""

    state: str
    code: str | None
    reason: str | None
    unit_count: int

    def why(self, words: Catalogue) -> str:
        """Say why, in a person's language."""
        if self.code is None:
            return words("completion.waiting" if self.state == "waiting" else "completion.asked")
        said = f"{self.code}: {explain(self.code, words.language).sentence} {self.reason or ''}"
        return said.strip()


@dataclass(frozen=True)
class Completed:
    """What one run did (registered, deleted) and where the units stand after it (waiting, refused).

    Waiting: their values are not all there yet, or DHIS2 lacks one; or DHIS2 has not answered.
    """

    registered: int = 0
    registered_by_other: int = 0
    deleted: int = 0
    waiting: int = 0
    refused: int = 0
    open_units: tuple[OpenUnits, ...] = ()

    def markdown(self, language: str = "en") -> str:
        """Draw what is not registered, and why, as a Markdown table; empty when everything is."""
        if not self.open_units:
            return ""
        words = catalogue(language)
        rows = [(units.state, units.why(words), words.number(units.unit_count)) for units in self.open_units]
        return markdown_table(words.columns("completion", "why", "units"), rows, numbers=(2,))


def complete_units(
    lease: Lease, client: Dhis2Client, of: DataSetPeriod, *, policy: Policy, is_period_open: bool, run_id: str
) -> Completed:
    """Register what is complete by the ledger and, `mirror`, delete what no longer is; after the values.

    A registration that somebody else made is left alone. What DHIS2 refuses is not asked again before the unit's
    values, the data set or the org unit change. A unit of which DHIS2 lacks a value is withheld: one that reconcile has
    found missing, or a compulsory one, whoever should enter it.
    Raises: Dhis2UnavailableError (transient): the next run looks what has arrived; another Dhis2Error (terminal).
    """
    if policy == "never":
        return Completed()
    filled = as_json(_filled(lease, client, of))
    with lease.connect() as connection:
        connection.execute(
            "select outbox.plan_completion(%s, %s, %s, %s, %s, %s, %s)",
            (*of, policy == "mirror", is_period_open, filled, run_id),
        )
    done: Counter[str] = Counter()
    registrar = _Registrar(lease, client, of, run_id, is_mirrored=policy == "mirror", done=done)
    for is_last in (*[False] * (ROUNDS - 1), True):
        try:
            registrar.sync_registrations()
            break
        except Dhis2UnavailableError:
            if is_last:
                raise
    with lease.connect() as connection:
        return _completed(connection, of, done)


def _filled(lease: Lease, client: Dhis2Client, of: DataSetPeriod) -> list[dict[str, str]]:
    """Read what DHIS2 holds of the compulsory fields that we did not fill: others may have."""
    query = "select org_unit_id, data_element_id from outbox.compulsory_gap(%s, %s, %s, '[]')"
    with lease.connect() as connection:
        gaps = connection.execute(query, of).fetchall()
    units, elements = sorted({unit for unit, _ in gaps}), sorted({element for _, element in gaps})
    return [
        {
            "org_unit_id": value.org_unit,
            "attribute_option_combo_id": value.attribute_option_combo,
            "data_element_id": value.data_element,
            "category_option_combo_id": value.category_option_combo,
        }
        for value in client.read_element_values(elements, of.period, units)
        if value.value and not value.is_deleted
    ]


def decide(unit: DueUnit, stored_by: str | None, username: str, *, is_mirrored: bool) -> RegistrationState | None:
    """Settle a unit by what stands in DHIS2 already; None: it is to be asked. Pure.

    Args: `stored_by` who registered it, None when nobody did; `username` our own.
    """
    key = (unit.org_unit_id, unit.attribute_option_combo_id)
    if stored_by is None:
        return None if unit.is_wanted else RegistrationState(*key, "deleted", is_ours=False)
    if not unit.is_ours or stored_by != username:
        return RegistrationState(*key, "registered_by_other", is_ours=False)
    return RegistrationState(*key, "registered", is_ours=True) if unit.is_wanted or not is_mirrored else None


@dataclass(frozen=True)
class _Registrar:
    """Asks DHIS2 about all that is due in one slice; what it settled stays settled if it breaks off."""

    lease: Lease
    client: Dhis2Client
    of: DataSetPeriod
    run_id: str
    is_mirrored: bool
    done: Counter[str]

    def sync_registrations(self) -> None:
        due = self._due()
        if not due:
            return
        stored = read_registrations(self.client, map(self._completion, due))
        username = self.client.me().username if any(unit.is_ours for unit in due) else ""
        known, asked = [], []
        for unit in due:
            found = decide(unit, stored.get(self._completion(unit)), username, is_mirrored=self.is_mirrored)
            asked += [] if found else [unit]
            known += [found] if found else []
        self._settle(known)
        with self.lease.connect() as connection:
            connection.execute("select outbox.begin_completion(%s, %s, %s, %s)", (*self.of, self.run_id))
        self._register([unit for unit in asked if unit.is_wanted])
        self._delete([unit for unit in asked if not unit.is_wanted])

    def _register(self, units: list[DueUnit]) -> None:
        for first in range(0, len(units), REGISTRATIONS_PER_REQUEST):
            some = units[first : first + REGISTRATIONS_PER_REQUEST]
            self.lease.check()
            self._judge(some, register(self.client, [self._completion(unit) for unit in some]))

    def _delete(self, units: list[DueUnit]) -> None:
        asked = [(self._completion(unit), unit.category_combo_id, unit.category_option_ids or ()) for unit in units]
        self.lease.check()
        self._judge(units, delete_registrations(self.client, asked))

    def _judge(self, units: Iterable[DueUnit], verdicts: Mapping[Completion, CompletionVerdict]) -> None:
        self._settle([_settled(unit, verdicts[self._completion(unit)]) for unit in units])

    def _due(self) -> list[DueUnit]:
        with self.lease.connect() as connection, connection.cursor(row_factory=class_row(DueUnit)) as cursor:
            return cursor.execute("select * from outbox.due_completion(%s, %s, %s)", self.of).fetchall()

    def _settle(self, settled: list[RegistrationState]) -> None:
        with self.lease.connect() as connection:
            connection.execute(
                "select outbox.settle_completion(%s, %s, %s, %s, %s)", (*self.of, as_json(settled), self.run_id)
            )
        self.done.update(unit.state for unit in settled)

    def _completion(self, unit: DueUnit) -> Completion:
        return Completion(self.of.data_set_id, self.of.period, unit.org_unit_id, unit.attribute_option_combo_id)


def _settled(unit: DueUnit, reported: CompletionVerdict) -> RegistrationState:
    state, is_ours = {
        Verdict.STORED: ("registered", True),
        Verdict.DELETED: ("deleted", False),
        Verdict.REFUSED: ("refused", not unit.is_wanted),
    }.get(reported.verdict, ("wanted" if unit.is_wanted else "to_delete", True))
    return RegistrationState(
        unit.org_unit_id, unit.attribute_option_combo_id, state, is_ours, reported.code, reported.reason
    )


def _completed(connection: Connection, of: DataSetPeriod, done: Counter[str]) -> Completed:
    """Count what stands in the way of the rest."""
    with connection.cursor(row_factory=class_row(OpenUnits)) as cursor:
        rows = cursor.execute("select * from outbox.completion_status(%s, %s, %s)", of).fetchall()
    open_units = tuple(row for row in rows if row.state in OPEN_STATES)
    refused = sum(row.unit_count for row in open_units if row.state == "refused")
    return Completed(
        registered=done["registered"],
        registered_by_other=done["registered_by_other"],
        deleted=done["deleted"],
        waiting=sum(row.unit_count for row in open_units) - refused,
        refused=refused,
        open_units=open_units,
    )
