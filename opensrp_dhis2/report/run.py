"""What one run left behind for people: where its values stand, what keeps them out, where, and how it went before.

It knows the functions of sql/functions/outbox_run.sql and Markdown; the HTML page is drawn in page.py.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from psycopg.rows import class_row

from opensrp_dhis2.messages.catalogue import Catalogue, catalogue
from opensrp_dhis2.messages.codes import Explanation, Owner, explain
from opensrp_dhis2.plain_text import markdown_table
from opensrp_dhis2.warehouse.database import Connection

STANDINGS = ("delivered", "dropped", "pending", "sending", "refused", "withheld", "closed", "withdrawn")
STOPPED = ("refused", "withheld", "closed")
EXAMPLES = 3
WORST_UNITS = 10
TREND_RUNS = 20
R = TypeVar("R")


class Standings(Counter[str]):
    """Values by where they stand; a value that should not be in DHIS2 and is not is counted apart."""

    @property
    def due(self) -> int:
        return self.total() - self["withdrawn"]

    @property
    def arrived(self) -> int:
        return self["delivered"] + self["dropped"]

    @property
    def stopped(self) -> int:
        return sum(self[name] for name in STOPPED)

    @property
    def waiting(self) -> int:
        return self["pending"] + self["sending"]


@dataclass(frozen=True)
class RunPeriod:
    """What a run did for one data set and period; numbers are None when it broke off before it kept them."""

    data_set_id: str
    data_set: str
    data_set_name: str | None
    period: str
    start_on: date | None
    end_on: date | None
    sent: int | None
    accepted: int | None
    request_count: int | None
    seconds: float | None
    delivered_at: str | None
    right_count: int | None
    wrong_count: int | None


@dataclass(frozen=True)
class Cause:
    """One reason that keeps values out of DHIS2, with the first names of what it concerns."""

    code: str | None
    standing: str
    value_count: int
    unit_count: int
    element_count: int
    data_sets: list[str]
    units: list[str]
    elements: list[str]


@dataclass(frozen=True)
class WorstUnit:
    """An org unit whose values a person must see to."""

    org_unit: str | None
    name: str
    parent: str | None
    stopped_count: int
    value_count: int
    code: str | None


@dataclass(frozen=True)
class TrendRun:
    """What one of the last runs did; `stopped`: refused or withheld then."""

    run_id: str
    delivered_at: str
    sent: int
    accepted: int
    stopped: int


@dataclass(frozen=True)
class StandingKind:
    """A kind of discrepancy that stands, and how many values it concerns."""

    kind: str
    value_count: int


@dataclass(frozen=True)
class RunSummary:
    """All that people are told of one run."""

    run_id: str
    target: str
    periods: list[RunPeriod]
    standings: dict[tuple[str, str], Standings]  # by data set id and period
    causes: list[Cause]
    units: list[WorstUnit]
    trend: list[TrendRun]  # the newest last
    discrepancies: list[StandingKind]  # as last reconciled

    @property
    def total(self) -> Standings:
        total = Standings()
        for standings in self.standings.values():
            total.update(standings)
        return total

    def causes_by_owner(self, language: str) -> dict[Owner, list[tuple[Cause, Explanation]]]:
        """Group the causes by who can mend them; who has most to do comes first."""
        grouped: dict[Owner, list[tuple[Cause, Explanation]]] = {}
        for cause in self.causes:
            said = explain(cause.code or "unexplained_rejection", language)
            grouped.setdefault(said.owner, []).append((cause, said))
        return dict(sorted(grouped.items(), key=lambda item: -sum(cause.value_count for cause, _ in item[1])))


def read_run(connection: Connection, run_id: str, target: str) -> RunSummary:
    """Read what one run left behind, as the ledger stands now."""
    of = (run_id, target)
    periods = _read(connection, RunPeriod, "outbox.run_period(%s, %s)", of)
    standings = {(period.data_set_id, period.period): Standings() for period in periods}
    for data_set_id, period, standing, count in connection.execute("select * from outbox.run_verdict(%s, %s)", of):
        standings[data_set_id, period][standing] = count
    return RunSummary(
        run_id,
        target,
        periods,
        standings,
        _read(connection, Cause, "outbox.run_cause(%s, %s, %s)", (*of, EXAMPLES)),
        _read(connection, WorstUnit, "outbox.run_unit(%s, %s, %s)", (*of, WORST_UNITS)),
        _read(connection, TrendRun, "outbox.run_trend(%s, %s, %s)", (*of, TREND_RUNS))[::-1],
        _read(connection, StandingKind, "outbox.run_discrepancy(%s, %s)", of),
    )


def run_markdown(connection: Connection, run_id: str, target: str, language: str = "en") -> str:
    """Draw where the values of a run stand and what to do about it, as Markdown."""
    run, words = read_run(connection, run_id, target), catalogue(language)
    standings = [(words(f"standing.{name}"), words.number(run.total[name])) for name in STANDINGS if run.total[name]]
    parts = [
        f"**{headline(run.total, words)}**",
        markdown_table(words.columns("where_it_stands", "values"), standings, numbers=(1,)),
    ]
    if run.causes:
        heads = words.columns("values", "code", "what_is_wrong", "who", "what_to_do")
        rows = [
            (words.number(cause.value_count), said.code, said.sentence, said.owner_label, said.remedy)
            for causes in run.causes_by_owner(language).values()
            for cause, said in causes
        ]
        parts.append(markdown_table(heads, rows, numbers=(0,)))
    return "\n\n".join(parts)


def headline(total: Standings, words: Catalogue) -> str:
    """Say in one line how many of the values that are due have arrived."""
    if not total.due:
        return words("headline.none")
    name = "headline.all" if total.arrived == total.due else "headline.some"
    return words(name, arrived=words.number(total.arrived), due=words.number(total.due))


def _read(connection: Connection, kind: type[R], function: str, parameters: tuple[object, ...]) -> list[R]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(f"select * from {function}", parameters).fetchall()  # noqa: S608
