"""The kinds of discrepancy between the ledger and DHIS2, in plain words, and what one reconciliation found of them.

It knows kinds and their owners; it refuses to find anything (reconcile.py does).
"""

from dataclasses import dataclass
from datetime import datetime

from opensrp_dhis2.messages.catalogue import Catalogue, catalogue
from opensrp_dhis2.messages.codes import Explanation, Owner, explain_discrepancy
from opensrp_dhis2.outbox.ledger import DataSetPeriod
from opensrp_dhis2.plain_text import markdown_table

OWNERS = {
    "foreign_edit": Owner.DATA_OWNER,
    "missing_in_dhis2": Owner.ADMINISTRATOR,
    "default_combo": Owner.ADMINISTRATOR,
    "stale_value": Owner.US,
    "unknown_value": Owner.DATA_OWNER,
    "ledger_outdated": Owner.US,
}
KINDS = tuple(OWNERS)
HARMLESS = frozenset({"unknown_value", "ledger_outdated"})  # nothing of ours is wrong or missing there
RESOLUTIONS = ("overwritten", "accepted", "settled", "gone")
LONGEST_SHOWN = 40  # what somebody typed into DHIS2 may be long


@dataclass(frozen=True)
class Finding:
    """Values of one kind, and what was done about them: None, they stand; `gone`: found before, true no longer."""

    kind: str
    resolution: str | None
    value_count: int


@dataclass(frozen=True)
class Discrepancy:
    """One cell of which DHIS2 holds something else than the ledger says, by the names that people know."""

    kind: str
    period: str
    org_unit: str
    data_element: str
    combo: str
    wanted: str | None
    acknowledged: str | None
    stored: str | None
    found_at: datetime


@dataclass(frozen=True)
class Reconciliation:
    """What one data set and period were found to be; `unread`: values of the ledger that could not be compared.

    `rows`: the first discrepancies that stand.
    """

    of: DataSetPeriod
    compared: int
    unread: int
    findings: tuple[Finding, ...]
    rows: tuple[Discrepancy, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Values found now by kind, every kind named, whatever was done about them."""
        found = [finding for finding in self.findings if finding.resolution != "gone"]
        return {kind: sum(finding.value_count for finding in found if finding.kind == kind) for kind in KINDS}

    @property
    def resolutions(self) -> dict[str, int]:
        """Values by what was done about them or has become of them, each named; `standing`: nothing."""
        return {
            name or "standing": sum(finding.value_count for finding in self.findings if finding.resolution == name)
            for name in (None, *RESOLUTIONS)
        }

    def markdown(self, language: str = "en") -> str:
        """Draw what was found as a Markdown table, and below it the first discrepancies that stand."""
        words = catalogue(language)
        agrees = words("reconciliation.agrees", count=self.compared)
        parts = [self._drawn_kinds(words) if self.findings else agrees, *self._drawn_rows(words)]
        if self.unread:
            parts.append(words("reconciliation.unread", count=self.unread))
        return "\n\n".join(parts)

    def _drawn_kinds(self, words: Catalogue) -> str:
        rows = []
        for finding in self.findings:
            said = explain_kind(finding.kind, words.language)
            todo = words(f"resolution.{finding.resolution}") if finding.resolution else said.remedy
            rows.append((f"{finding.kind}: {said.sentence}", words.number(finding.value_count), said.owner_label, todo))
        return markdown_table(words.columns("finding", "values", "who", "what_to_do"), rows, numbers=(1,))

    def _drawn_rows(self, words: Catalogue) -> list[str]:
        if not self.rows:
            return []
        rows = [
            (
                *(row.kind, row.org_unit, row.data_element, row.combo),
                *(shown(value) for value in (row.wanted, row.acknowledged, row.stored)),
                f"{row.found_at:%Y-%m-%d}",
            )
            for row in self.rows
        ]
        names = ("kind", "org_unit", "data_element", "combo", "wanted", "confirmed", "in_dhis2_now", "found_at")
        table, hidden = markdown_table(words.columns(*names), rows), self.resolutions["standing"] - len(rows)
        return [table, words("and_more", count=hidden)] if hidden > 0 else [table]


def explain_kind(kind: str, language: str = "en") -> Explanation:
    """Return a kind of discrepancy in plain words."""
    return explain_discrepancy(kind, OWNERS[kind], language)


def shown(value: str | None) -> str:
    """Return a value as a table shows it: nothing as a dash, and not too much of a long text."""
    return "-" if value is None else value[:LONGEST_SHOWN] + "…" * (len(value) > LONGEST_SHOWN)
