"""The commands `demo` and `dev`: the whole chain, or Dagster, with the sandbox servers behind them."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn

import click

from opensrp_dhis2.cli.console import console, read_settings
from opensrp_dhis2_sandbox.program import run_until_stopped, take_signals


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of FHIR NDJSON.")
def demo(data: Path | None) -> None:
    """Run the whole chain against the sandbox servers and show what it did."""
    from opensrp_dhis2_sandbox.demo import data_home, demo_environment, run_demo, sandbox_environment

    home = data_home(os.environ)
    os.environ.update(sandbox_environment() | demo_environment(data, os.environ))
    take_signals()
    try:
        is_success = run_demo(data, read_settings(), home, console)
    except KeyboardInterrupt:
        _stopped("The run and the sandbox servers have ended")
    sys.exit(0 if is_success else 1)


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of FHIR NDJSON.")
def dev(data: Path | None) -> None:
    """Open Dagster's webserver and daemon, with the sandbox servers behind them."""
    from opensrp_dhis2_sandbox.demo import check_writable, data_home, demo_environment, lost_runs_ended
    from opensrp_dhis2_sandbox.demo import sandbox as demo_sandbox
    from opensrp_dhis2_sandbox.runs import prepare_home
    from opensrp_dhis2_sandbox.server import check_free

    own_home = data_home(os.environ).absolute() / "dagster"
    os.environ.update(demo_environment(data, os.environ))
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(own_home)))
    check_writable(home.parent)
    prepare_home(home)
    settings = read_settings()
    check_free(settings.dev_port, "DEV_PORT")
    command = [sys.executable, "-m", "dagster", "dev", "--port", str(settings.dev_port)]
    take_signals()
    try:
        # another home may show runs of other machines
        with (
            demo_sandbox(data, settings, console),
            lost_runs_ended(home, console) if home == own_home else nullcontext(),
        ):
            ended = run_until_stopped(command, lambda: console.print("Stopping Dagster and its runs."))
    except KeyboardInterrupt:
        _stopped("Dagster, its runs and the sandbox servers have ended")
    sys.exit(ended)


def _stopped(what: str) -> NoReturn:
    console.print(f"Stopped. {what}; what was done is kept, and nothing is sent twice: start again and it goes on.")
    sys.exit(130)
