"""The report page of one run: one HTML file that needs nothing else, for the people who look after the numbers.

It knows the drawing; what there is to draw is read in run_summary.py, and the labels stand in words.py.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from opensrp_dhis2.audit.discrepancy import explain_kind
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.messages.catalogue import Catalogue, catalogue
from opensrp_dhis2.messages.codes import explain
from opensrp_dhis2.plain_text import one_line
from opensrp_dhis2.report.run import STANDINGS, RunSummary, Standings, headline, read_run
from opensrp_dhis2.warehouse.database import Connection

BAR_WIDTH = 1000.0
LEAST_SEGMENT = 4.0  # of BAR_WIDTH, so that one value among a million can be seen
TREND_HEIGHT = 48.0


@dataclass(frozen=True)
class Segment:
    """One piece of a stacked bar."""

    name: str
    left: float
    width: float


@dataclass(frozen=True)
class Column:
    """One column of the trend, measured from the top."""

    top: float
    height: float
    number: int
    title: str


def write_page(connection: Connection, run_id: str, target: str, directory: Path, language: str = "en") -> Path:
    """Write the report page of one run into a folder and give its path.

    Raises: ConfigurationError (terminal) when the folder cannot be written.
    """
    return write_report_file(
        directory, report_name(run_id, ".html"), draw(read_run(connection, run_id, target), language)
    )


def report_name(run_id: str, ending: str) -> str:
    """Return the file name of a run: its id, without what a path must not hold."""
    return re.sub(r"[^\w-]", "_", run_id) + ending


def write_report_file(directory: Path, name: str, text: str) -> Path:
    """Write one file for people into a folder that is made if need be."""
    path = directory / name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigurationError(
            f"The report of the run cannot be written to {directory} ({error.strerror}): let DATA_DIR name a folder "
            "that can be written"
        ) from None
    return path


def draw(run: RunSummary, language: str) -> str:
    """Draw the page: pure but for the template beside this module."""
    words = catalogue(language)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_shown,
    )  # fmt: skip
    return environment.get_template("page.html").render(
        run=run,
        total=run.total,
        words=words,
        headline=headline(run.total, words),
        tone=tone(run.total),
        standings=[name for name in STANDINGS if run.total[name]],
        owners=run.causes_by_owner(language).values(),
        csv_name=report_name(run.run_id, ".csv"),
        explain_kind=lambda kind: explain_kind(kind, language),
        segments=segments,
        columns=columns,
        explain=lambda code: explain(code, language),
        trend_height=TREND_HEIGHT,
        bar_width=BAR_WIDTH,
    )


def _shown(value: object) -> object:
    """Return what a template shows: text without control characters; markup that was made here stays."""
    return one_line(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def tone(total: Standings) -> str:
    """Say in a word how the run stands: bad when a person must act, open when something waits, else good."""
    return "bad" if total.stopped else "open" if total.waiting else "good"


def segments(counts: Standings) -> list[Segment]:
    """Lay the values that are due side by side on a bar; the smallest share stays visible."""
    shown = [(name, counts[name]) for name in STANDINGS if counts[name] and name != "withdrawn"]
    widths = [max(LEAST_SEGMENT, BAR_WIDTH * count / counts.due) for _, count in shown]
    laid, left = list[Segment](), 0.0
    for (name, _), width in zip(shown, widths, strict=True):
        share = width * BAR_WIDTH / sum(widths)
        laid.append(Segment(name, round(left, 1), round(share, 1)))
        left += share
    return laid


def columns(run: RunSummary, name: str, words: Catalogue) -> list[Column]:
    """Draw one number of the last runs as columns, the highest as high as there is room."""
    numbers = [int(getattr(past, name)) for past in run.trend]
    highest = max([1, *numbers])
    heights = [round(max(1.0 if number else 0.0, TREND_HEIGHT * number / highest), 1) for number in numbers]
    return [
        Column(round(TREND_HEIGHT - height, 1), height, number, f"{one.delivered_at}: {words.number(number)}")
        for one, number, height in zip(run.trend, numbers, heights, strict=True)
    ]
