"""The command line `opensrp-dhis2`: what Dagster's own does not do.

It reads the environment, shows, and turns our errors into one message and an exit code; it decides nothing.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from opensrp_dhis2.cli.console import ErrorGroup, console, read_settings
from opensrp_dhis2.cli.dhis2 import dhis2
from opensrp_dhis2.cli.extract import extract
from opensrp_dhis2.cli.outbox import outbox
from opensrp_dhis2.cli.places import places
from opensrp_dhis2.cli.sandbox import sandbox
from opensrp_dhis2.cli.scan import scan
from opensrp_dhis2.cli.views import views


@click.group(cls=ErrorGroup)
@click.option("--traceback", is_flag=True, help="Show where in the code an error came from.")
def main(traceback: bool) -> None:
    """OpenSRP 2 (FHIR R4) to DHIS2: totals, never people; every value with a verdict.

    Settings come from the environment; .env.example lists them all.
    """


@main.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of FHIR NDJSON.")
def demo(data: Path | None) -> None:
    """Run the whole chain against the sandbox servers and show what it did."""
    from opensrp_dhis2.demo import demo_environment, run_demo, sandbox_environment

    os.environ.update(sandbox_environment() | demo_environment(data, os.environ))
    if not run_demo(data, read_settings(), console):
        sys.exit(1)


@main.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of FHIR NDJSON.")
def dev(data: Path | None) -> None:
    """Open Dagster's webserver and daemon, with the sandbox servers behind them."""
    from opensrp_dhis2.defs.runs import prepare_home
    from opensrp_dhis2.demo import demo_environment
    from opensrp_dhis2.demo import sandbox as demo_sandbox

    os.environ.update(demo_environment(data, os.environ))
    os.environ.setdefault("DAGSTER_HOME", str(Path(".data/dagster").absolute()))
    prepare_home(Path(os.environ["DAGSTER_HOME"]))
    command = [str(Path(sys.executable).parent / "dagster"), "dev"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    with demo_sandbox(data, read_settings(), console), subprocess.Popen(command) as dagster:  # noqa: S603
        signal.signal(signal.SIGTERM, lambda *_: dagster.send_signal(signal.SIGINT))  # stops its own processes too
        dagster.wait()


for command in (sandbox, extract, views, outbox, dhis2, places, scan):
    main.add_command(command)
