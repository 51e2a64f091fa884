"""The command `recordings score`: how well we read and forecast what DHIS2 was recorded to do."""

import json
import sys
from collections import Counter
from pathlib import Path

import click

from opensrp_dhis2.cli.console import PlainTable, console, old_name
from opensrp_dhis2_sandbox.recording import Case, read_recording
from opensrp_dhis2_sandbox.replay import JudgedRow, Score, judge
from opensrp_dhis2_sandbox.start import read_sandbox_metadata

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
WORST = 10


@click.group()
def recordings() -> None:
    """Recorded imports of DHIS2, judged without a server."""


@recordings.command()
@click.argument("cases", type=FILE)
@click.option("--metadata", required=True, type=FILE, help="The server's metadata, in stages for /api/metadata.")
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Write one line a case here.")
def score(cases: Path, metadata: Path, out: Path | None) -> None:
    """Hold our reading of recorded replies, and our forecast, to what the server stored.

    Exits with 1 when a reply is read as stored and the value is not there.
    """
    server, recorded = read_recording(cases, read_sandbox_metadata(metadata))
    judged = [(case, judge(case, server)) for case in recorded]
    if out:
        out.write_text("".join(f"{json.dumps(_line(case, rows))}\n" for case, rows in judged))
    read, forecast, differing = Score(), Score(), Counter[tuple[int, str]]()
    for case, rows in judged:
        for row in rows:
            is_wrong = read.add(row.interpreted, row.allowed), forecast.add(row.forecast, row.allowed)
            differing[case.number, ", ".join(case.mutations)] += sum(is_wrong)
    _show(str(server.version), len(judged), read, forecast)
    _show_worst(differing)
    if read.false_claim_count:
        sys.exit(1)


def _line(case: Case, rows: list[JudgedRow]) -> dict[str, object]:
    return {
        "case": case.number,
        "interpreted": [row.interpreted for row in rows],
        "forecast": [row.forecast for row in rows],
    }


def _show(version: str, case_count: int, read: Score, forecast: Score) -> None:
    names = ("", "rows", "right", "wrong", "unknown", "right %", "unknown %", "stored, wrongly")
    table = PlainTable(*names, title=f"DHIS2 {version}: {case_count} cases")
    for name, score in (("read from the reply", read), ("forecast", forecast)):
        counts = (score.row_count, score.right_count, score.wrong_count, score.unknown_count)
        shares = [f"{100 * count / max(score.row_count, 1):.2f}" for count in (score.right_count, score.unknown_count)]
        table.add_row(name, *map(str, counts), *shares, str(score.false_claim_count))
    console.print(table)


def _show_worst(differing: Counter[tuple[int, str]]) -> None:
    worst = [(place, count) for place, count in differing.most_common(WORST) if count]
    if not worst:
        console.print("No verdict differs from what the server stored.")
        return
    table = PlainTable("case", "what was wrong with it", "verdicts that differ", title="The worst cases")
    for (number, mutations), count in worst:
        table.add_row(str(number), mutations, str(count))
    console.print(table)


@click.group("dhis2", hidden=True)
def dhis2() -> None:
    """Hold the old name of `recordings score`."""


dhis2.add_command(old_name(score, "replay", "recordings score"))
