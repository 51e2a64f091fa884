"""`make run`: the whole chain on loopback, with what it did as tables and as .data/run.json.

It knows how to start the sandbox and to show; the work is done by the same Dagster jobs that a ministry runs.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.table import Table

from opensrp_dhis2.cli.console import PlainTable
from opensrp_dhis2.connections import open_warehouse
from opensrp_dhis2.defs.data_set import report_job_name
from opensrp_dhis2.defs.jobs import EXTRACT
from opensrp_dhis2.defs.partitions import partitions_for
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.plain_text import plain_lines
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.load import table_name
from opensrp_dhis2_sandbox.lost_runs import end_lost_runs
from opensrp_dhis2_sandbox.runs import Run, open_instance, run_job
from opensrp_dhis2_sandbox.server import running
from opensrp_dhis2_sandbox.start import dhis2_app, fhir_app, metadata_file

PERIODS = {"Weekly": 13, "Monthly": 6, "Quarterly": 2}
COUNTS = ("sent", "accepted", "refused", "unchanged")


@dataclass
class Outcome:
    """What the demo writes to run.json."""

    resources: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class PeriodCounts:
    """One line of the table of values."""

    data_set: str
    period: str
    sent: int
    accepted: int
    refused: int
    unchanged: int
    withheld: int


def run_demo(data: Path | None, settings: Settings, home: Path, console: Console) -> bool:
    """Run every stage and show it; give whether all of it went well.

    Args: `home` is the folder of Dagster's records and of run.json, which all data folders share.
    """
    with sandbox(data, settings, console):
        runs = _run_jobs(settings, home, console)
        if runs[-1].is_stopped:
            raise KeyboardInterrupt
        outcome, periods = _outcome(settings, runs)
    file = home / "run.json"
    file.write_text(json.dumps(asdict(outcome), indent=1))
    _show(outcome, periods, runs, console, file)
    return all(run.is_success for run in runs)


def demo_environment(data: Path | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Say which settings a data folder needs: a data folder of its own, and the example project of the same name."""
    if data is None:
        return {}
    example = Path("examples") / data.resolve().name
    project = {"PROJECT_DIR": str(example)} if example.is_dir() and "PROJECT_DIR" not in environment else {}
    return {"DATA_DIR": str(data_home(environment) / data.resolve().name), **project}


def data_home(environment: Mapping[str, str]) -> Path:
    """Return the folder in which each data folder of `--data` has one of its own."""
    return Path(environment.get("DATA_DIR") or Settings.model_fields["data_dir"].default)


def sandbox_environment() -> dict[str, str]:
    """Name the sandbox and the embedded Postgres, whatever the environment says: a demo must never reach a real server."""
    unset = ("FHIR_BASE_URL", "DHIS2_BASE_URL", "WAREHOUSE_URL")  # empty: the sandbox at its port, and our own Postgres
    accounts = {name.upper(): Settings.model_fields[name].default for name in ("dhis2_username", "dhis2_password")}
    kinds = {"FHIR_SOURCE": "search", "FHIR_AUTH": "none", "DHIS2_AUTH": "basic"}
    direct = dict.fromkeys(("CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "")
    return {name + end: "" for name in unset for end in ("", "_FILE")} | kinds | direct | accounts


def check_writable(folder: Path) -> None:
    """See that the folder, and what lies in it, can be written before anything is begun: another user may own them.

    Raises: ConfigurationError (terminal).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mine = [folder, *(path for path in folder.iterdir() if not path.name.startswith((".postgres", "postgres")))]
        locked = next((path for path in mine if not os.access(path, os.W_OK)), None)
    except OSError:
        locked = folder
    if locked:
        raise ConfigurationError(
            f"{locked} cannot be written by this user: work as its owner, or let DATA_DIR name a folder of your own"
        )


@contextmanager
def sandbox(data: Path | None, settings: Settings, console: Console) -> Iterator[None]:
    """Serve FHIR and DHIS2 on loopback, where the default settings look for them."""
    folder = settings.data_dir
    check_writable(folder)
    with console.status("Starting the sandbox servers"):
        fhir = fhir_app(data, folder / "fhir", settings.now)
        dhis2 = dhis2_app(metadata_file(settings.project), folder / "dhis2.sqlite", clock=settings.now)
    with (
        running(fhir, settings.sandbox_fhir_port, setting="SANDBOX_FHIR_PORT") as fhir_url,
        running(dhis2, settings.sandbox_dhis2_port, setting="SANDBOX_DHIS2_PORT") as dhis2_url,
    ):
        console.print(f"Sandbox FHIR server at {fhir_url}/fhir, sandbox DHIS2 at {dhis2_url}")
        yield


def _run_jobs(settings: Settings, home: Path, console: Console) -> list[Run]:
    """Run `extract`, then every report over its last closed periods; stop at the first job that fails."""
    catalog, runs = load_catalog(settings.project), list[Run]()
    wanted: list[tuple[str, Sequence[str]]] = [(EXTRACT, ())]
    for code, data_set in catalog.data_sets.items():
        keys = partitions_for(data_set.period_type, settings).get_partition_keys()
        wanted.append((report_job_name(code), keys[-PERIODS.get(data_set.period_type, 1) :]))
    with open_instance(home.absolute() / "dagster") as instance:
        _tell_lost(end_lost_runs(instance), console)
        for job, keys in wanted:
            with console.status(job) as status:
                runs.append(run_job(instance, job, keys, on_step=partial(_update, status, job)))
            if not runs[-1].is_success:
                break
    return runs


@contextmanager
def lost_runs_ended(home: Path, console: Console) -> Iterator[None]:
    """Mark as failed, before and after, each run that was begun in this home and whose process is gone."""
    try:
        with open_instance(home) as instance:
            _tell_lost(end_lost_runs(instance), console)
        yield
    finally:
        with open_instance(home) as instance:
            _tell_lost(end_lost_runs(instance), console)


def _tell_lost(jobs: Sequence[str], console: Console) -> None:
    if jobs:
        console.print(f"Runs whose process is gone, now marked as failed: {', '.join(jobs)}. What they did is kept.")


def _update(status: Status, job: str, step: str) -> None:
    status.update(f"{job}: {step}")


def _outcome(settings: Settings, runs: list[Run]) -> tuple[Outcome, list[PeriodCounts]]:
    outcome = Outcome()
    for run in runs:
        for stage, seconds in run.seconds.items():
            outcome.seconds[stage] = round(outcome.seconds.get(stage, 0) + seconds, 2)
    warehouse = open_warehouse(settings)
    with warehouse.connect() as connection:
        for resource_type in settings.all_resource_types:
            outcome.resources[resource_type] = _count(connection, f"raw.{table_name(resource_type)}")
        for view in load_catalog(settings.project).indicators:
            outcome.rows[view.path_stem] = _count(connection, view.name)
        rows = connection.execute(
            "select code, period, sent, accepted, refused, unchanged, withheld from outbox.delivery"
            " join lookup.data_set using (data_set_id) where run_id = any(%s) order by 1, 2",
            ([run.run_id for run in runs],),
        ).fetchall()
    warehouse.close()
    periods = [PeriodCounts(*row) for row in rows]
    outcome.values = {name: sum(getattr(period, name) for period in periods) for name in COUNTS}
    return outcome, periods


def _count(connection: Connection, relation: str) -> int:
    row = connection.execute("select to_regclass(%s) is not null", (relation,)).fetchone()
    if not row or not row[0]:
        return 0
    [(number,)] = connection.execute(f"select count(*) from {relation}").fetchall()  # noqa: S608 - a name of ours
    return int(number)


def _show(outcome: Outcome, periods: list[PeriodCounts], runs: list[Run], console: Console, file: Path) -> None:
    console.print(_table("Resources read, by type", ("type", "resources"), outcome.resources.items()))
    console.print(_table("Totals, by indicator", ("indicator", "rows"), outcome.rows.items()))
    console.print(
        _table(
            "Values, by data set and period",
            ("data set", "period", *COUNTS, "withheld"),
            [*(tuple(asdict(period).values()) for period in periods), ("all", "", *outcome.values.values(), "")],
        )
    )
    console.print(_table("Seconds, by stage", ("stage", "seconds"), outcome.seconds.items()))
    for run in runs:
        for failure in run.failures:
            console.print(plain_lines(f"{run.job}: {failure}"), style="red", highlight=False, markup=False)
    if not all(run.is_success for run in runs):
        console.print("Mend the cause and run again: what is done is kept, nothing is lost.", style="red")
        return
    console.print(
        "Look next: [bold]make dev[/] opens Dagster with these runs; [bold].venv/bin/opensrp-dhis2 outbox status[/] shows "
        f"where every value stands; [bold]{file}[/] has these numbers. Run again: nothing is sent twice."
    )


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Table:
    table = PlainTable(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 or column == "period" else "right")
    for row in rows:
        table.add_row(*map(str, row))
    return table
