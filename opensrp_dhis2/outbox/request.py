"""One request to DHIS2 and what became of its values: sent, read, and settled by reading back where the reply is mute.

It knows one batch at a time; which batch comes next is decided in delivery.py and pacing.py.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.imports import job as import_job
from opensrp_dhis2.dhis2.imports.interpret import foreign_answer, interpret
from opensrp_dhis2.dhis2.models import DataValue, Interpretation, Reply, SentValue, ServerVersion, Verdict
from opensrp_dhis2.errors import Dhis2TimeoutError, Dhis2UnavailableError
from opensrp_dhis2.http.retry import was_not_read
from opensrp_dhis2.messages.codes import Level, Reason, level_of
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.lease import Lease
from opensrp_dhis2.outbox.ledger import Batch, RecordedVerdict, SentRow
from opensrp_dhis2.outbox.pacing import RequestOutcome
from opensrp_dhis2.outbox.read_back import read_back
from opensrp_dhis2.outbox.settle import compare, settle_by_reading

MAX_ATTEMPTS = 3  # answered ones, for a value that goes alone and is taken without being stored
ACCEPTED = ("stored", "unchanged", "deleted", "dropped")
LOST_WRITES = frozenset({Reason.WRITE_LOST, Reason.FLUSH_FAILED, Reason.COUNTS_DISAGREE, Reason.NOTHING_COUNTED})
STRICT = dict.fromkeys(
    (
        "strictPeriods", "strictDataElements", "strictCategoryOptionCombos", "strictAttributeOptionCombos",
        "strictOrganisationUnits", "requireCategoryOptionCombo", "requireAttributeOptionCombo",
    ),
    "true",
)  # fmt: skip

# what the account may not write is a place: whether it may write anywhere is asked before (data_entry_window.py)
_PLACE: dict[str, Callable[[SentRow], tuple[str, ...]]] = {
    "E8011": lambda row: (row.org_unit_id,),
    "E8012": lambda row: (row.category_option_combo_id, row.attribute_option_combo_id),
}


@dataclass(frozen=True)
class Answer:
    """What became of one request: as a whole, and its values by verdict."""

    outcome: RequestOutcome
    verdicts: Counter[str]
    cause: str | None = None  # the one code that speaks for the whole request
    is_about_all: bool = False  # the account or the request itself, so that no other request would fare better
    is_about_account: bool = False
    foreign: str | None = None  # what came instead of an answer of DHIS2

    @property
    def accepted(self) -> int:
        return sum(self.verdicts[name] for name in ACCEPTED)


@dataclass
class Sender:
    """What a request needs: the lease, the server, its version, and the run that signs for it."""

    lease: Lease
    client: Dhis2Client
    version: ServerVersion
    run_id: str
    is_async: bool = False  # DHIS2 imports in a job of its own
    say: Callable[[str], None] = lambda _: None

    def send(self, batch: Batch) -> Answer:
        """Send one committed batch and settle it.

        Raises: Dhis2UnavailableError (transient) when DHIS2 cannot be read back either, or may run a job of which we
        did not hear; LeaseLostError (transient) when another run may write now. The batch stays open.
        """
        with self.lease.connect() as connection:
            body, rows = ledger.payload(connection, batch), ledger.sent_rows(connection, batch)
        self.lease.check()
        try:
            answered = self._post(batch, body)
        except Dhis2UnavailableError as error:
            if self.is_async:
                raise
            return self._settle_unanswered(batch, is_timeout=isinstance(error, Dhis2TimeoutError))
        return self._settle_reply(batch, rows, answered)

    def _settle_reply(self, batch: Batch, rows: list[SentRow], answered: Reply | str) -> Answer:
        """Settle what came: an answer of DHIS2 by what it says, anything else like no answer at all."""
        reply = self._await_job(batch, answered) if isinstance(answered, str) else answered
        if reply is None:
            return self._settle_unanswered(batch, is_timeout=False)
        foreign = foreign_answer(reply)
        if foreign is not None:
            return self._settle_unanswered(batch, is_timeout=reply.status == 504, foreign=foreign)
        return self._settle_answered(batch, rows, reply)

    def _settle_answered(self, batch: Batch, rows: list[SentRow], reply: Reply) -> Answer:
        read = interpret(reply, [_sent_value(row, batch, self.version) for row in rows], self.version)
        is_about_all = _is_about_all(read)
        verdicts = self._verdicts(batch, rows, reply, read, is_about_all=is_about_all)
        status = None if was_not_read(reply.status) else reply.status
        is_read = Verdict.UNKNOWN in read.tally()
        with self.lease.connect() as connection:
            if any(
                verdict.verdict == "lost" for verdict in verdicts
            ):  # it may come late: the answer need not be its own
                ledger.keep_late_writes(connection, batch, self.client.request_seconds)
            ledger.settle(
                connection, batch, verdicts, http_status=status, note=read.cause or "", run_id=self.run_id,
                is_proven=is_read and len(read.tally()) == 1,
            )  # fmt: skip
        return _answer(reply, read, Counter(verdict.verdict for verdict in verdicts), is_about_all=is_about_all)

    def _post(self, batch: Batch, body: bytes) -> Reply | str:
        """Send a body and return the answer, or the id of the job that imports it."""
        params = _parameters(batch, self.version)
        if self.is_async:
            with self.lease.connect() as connection:
                ledger.keep_job(connection, batch, "")
            return import_job.start(self.client, body, params)
        return self.client.post_data_value_set(body, params=params)

    def _await_job(self, batch: Batch, job_id: str) -> Reply | None:
        """Keep a job's id and wait for its end; while DHIS2 does not answer the batch stays open for the next run."""
        with self.lease.connect() as connection:
            ledger.keep_job(connection, batch, job_id)
        return import_job.await_reply(self.client, job_id)

    def _settle_unanswered(self, batch: Batch, *, is_timeout: bool, foreign: str | None = None) -> Answer:
        """Read back; a connection that broke after everything was stored has done no harm.

        After a time-out DHIS2 is still at it: what is not there yet is waited for.
        """
        left = max(0.0, self.client.request_seconds - self.client.read_timeout_seconds) if is_timeout else 0.0
        found = settle_by_reading(
            self.lease,
            self.client,
            batch,
            self.version,
            self.run_id,
            wait_seconds=left,
            say=self.say,
            note=foreign or "no answer",
        )
        verdicts = Counter(verdict.verdict for verdict in found)
        is_silent = is_timeout or verdicts["lost"] + verdicts["blocked"] > 0
        return Answer(RequestOutcome.SILENT if is_silent else RequestOutcome.TAKEN, verdicts, foreign=foreign)

    def _named_places(self, read: Interpretation, rows: list[SentRow]) -> set[tuple[str, ...]]:
        """Return the places of a request that DHIS2 names, of category options the combos with one; or its only place."""
        if not _is_about_place(read):
            return set()
        places = _places(read, rows)
        if len(places) == 1 or read.cause != "E8012":
            return places if len(places) == 1 else set()
        with self.lease.connect() as connection:
            combos = ledger.combos_with(connection, read.guilty)
        return {place for place in places if not combos.isdisjoint(place)}

    def _verdicts(
        self, batch: Batch, rows: list[SentRow], reply: Reply, read: Interpretation, *, is_about_all: bool
    ) -> list[RecordedVerdict]:
        """Return a verdict for each row, from the reply where it speaks, from what DHIS2 holds where it does not."""
        named = self._named_places(read, rows)
        if named:
            return [_judged_by_place(row, read, named) for row in rows]
        if is_about_all:
            return [RecordedVerdict(row.row_index, Verdict.BLOCKED.value, read.cause) for row in rows]
        verdicts = [
            RecordedVerdict(row.row_index, reported.verdict.value, reported.code)
            for row, reported in zip(rows, read.rows, strict=True)
        ]
        if Verdict.UNKNOWN in read.tally():
            stored = compare(rows, read_back(self.client, batch.data_set_id, batch.period, rows), self.version)
            verdicts = [
                seen if reported.verdict == Verdict.UNKNOWN else reported
                for reported, seen in zip(verdicts, stored, strict=True)
            ]
        is_last_try = len(rows) == 1 and rows[0].attempt >= MAX_ATTEMPTS and not was_not_read(reply.status)
        if is_last_try and verdicts[0].verdict in ("blocked", "lost"):
            return [_refused(verdicts[0], rows[0])]
        return verdicts


def _judged_by_place(row: SentRow, read: Interpretation, named: set[tuple[str, ...]]) -> RecordedVerdict:
    is_named = _PLACE[str(read.cause)](row) in named
    return RecordedVerdict(row.row_index, (Verdict.REFUSED if is_named else Verdict.BLOCKED).value, read.cause)


def _refused(verdict: RecordedVerdict, row: SentRow) -> RecordedVerdict:
    return RecordedVerdict(
        verdict.row_index, Verdict.REFUSED.value, verdict.code, f"sent {row.attempt} times, never stored"
    )


def _parameters(batch: Batch, version: ServerVersion) -> dict[str, str]:
    """Ask the engine before 2.43 to check what 2.43 always checks; it then names each faulty row."""
    return {"importStrategy": batch.import_strategy} | ({} if version.import_engine == "atomic" else STRICT)


def _sent_value(row: SentRow, batch: Batch, version: ServerVersion) -> SentValue:
    value = DataValue(
        row.data_element_id, batch.period, row.org_unit_id, row.category_option_combo_id,
        row.attribute_option_combo_id, row.wanted if row.wanted is not None else row.acknowledged,
        is_deleted=row.wanted is None,
    )  # fmt: skip
    return SentValue(value, is_droppable_zero=row.is_dropped_by(version))


def _is_about_all(read: Interpretation) -> bool:
    """Return whether every value fell for the account's rights, or for something that is the same in every request."""
    if not _is_about_one_cause(read) or read.cause in _PLACE:
        return False
    return read.is_user_cause or level_of(read.cause) is Level.REQUEST or read.cause == Reason.BAD_REQUEST


def _is_about_one_cause(read: Interpretation) -> bool:
    return read.cause is not None and len(read.tally()) == 1


def _is_about_place(read: Interpretation) -> bool:
    return read.cause in _PLACE and _is_about_one_cause(read)


def _places(read: Interpretation, rows: list[SentRow]) -> set[tuple[str, ...]]:
    """Return the org units or the combos of a request, whichever the code is about."""
    return {_PLACE[str(read.cause)](row) for row in rows}


def _answer(reply: Reply, read: Interpretation, verdicts: Counter[str], *, is_about_all: bool) -> Answer:
    if is_about_all:
        return Answer(
            RequestOutcome.TAKEN, verdicts, read.cause, is_about_all=True, is_about_account=read.is_user_cause
        )
    if not verdicts["blocked"] and not verdicts["lost"]:
        return Answer(RequestOutcome.TAKEN, verdicts, read.cause)
    if was_not_read(reply.status):
        return Answer(RequestOutcome.SILENT, verdicts, read.cause)
    if read.cause == Reason.TOO_LARGE:
        return Answer(RequestOutcome.TOO_LARGE, verdicts, read.cause)
    is_named = verdicts["refused"] > 0
    cause = None if read.cause in LOST_WRITES else read.cause
    return Answer(RequestOutcome.TAKEN if is_named else RequestOutcome.NAMELESS, verdicts, cause)
