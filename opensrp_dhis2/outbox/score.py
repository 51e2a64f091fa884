"""How right the forecast of a delivery was, once the ledger has its verdicts."""

from dataclasses import dataclass

from psycopg.rows import class_row

from opensrp_dhis2.messages.catalogue import catalogue
from opensrp_dhis2.outbox.ledger import DataSetPeriod
from opensrp_dhis2.plain_text import markdown_table
from opensrp_dhis2.warehouse.database import Connection


@dataclass(frozen=True)
class ForecastResult:
    """Values of one predicted outcome and what they came to; `is_right` None: not sent yet, so not scored."""

    predicted_outcome: str
    predicted_code: str | None
    state: str
    code: str | None
    is_right: bool | None
    value_count: int


@dataclass(frozen=True)
class Score:
    """How right the forecast of a slice was; all 0 when there was none to score."""

    results: tuple[ForecastResult, ...]

    @property
    def right(self) -> int:
        return sum(result.value_count for result in self.results if result.is_right)

    @property
    def wrong(self) -> int:
        return sum(result.value_count for result in self.misses)

    @property
    def open(self) -> int:
        return sum(result.value_count for result in self.results if result.is_right is None)

    @property
    def share(self) -> float | None:
        scored = self.right + self.wrong
        return self.right / scored if scored else None

    @property
    def misses(self) -> list[ForecastResult]:
        return [result for result in self.results if result.is_right is False]

    def markdown(self, language: str = "en") -> str:
        """Draw what was forecast wrongly as a Markdown table, below the share of what was right."""
        words, scored = catalogue(language), self.right + self.wrong
        if self.share is None:
            return words("score.none")
        said = words("score.right", right=self.right, all=scored, share=words.share(self.right, scored))
        said += words("score.open", count=self.open) if self.open else ""
        if not self.wrong:
            return said
        rows = [
            (
                " ".join(filter(None, (result.predicted_outcome, result.predicted_code))),
                " ".join(filter(None, (result.state, result.code))),
                result.value_count,
            )
            for result in self.misses
        ]
        return said + "\n\n" + markdown_table(words.columns("forecast", "came_to", "values"), rows, numbers=(2,))


def score(connection: Connection, of: DataSetPeriod, run_id: str) -> Score:
    """Hold a slice's forecast to the verdicts that the ledger has now, and keep the score as a row.

    What is still pending is not scored, nor what was planned anew since; nor a forecast that an earlier run has
    scored to its end.
    """
    with connection.cursor(row_factory=class_row(ForecastResult)) as cursor:
        rows = cursor.execute("select * from outbox.score_forecast(%s, %s, %s, %s)", (*of, run_id)).fetchall()
    return Score(tuple(rows))
