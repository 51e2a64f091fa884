"""The command line `opensrp-dhis2`: what Dagster's own does not do.

It reads the environment, shows, and turns our errors into one message and an exit code; it decides nothing.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.settings import Settings

console = Console()


class _Group(click.Group):
    """Shows an error of ours as one message; anything else is a defect and keeps its traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except OpenSrpDhis2Error as error:
            if context.params.get("traceback"):
                raise
            click.secho(f"Error: {error}", fg="red", err=True)
            sys.exit(1)


@click.group(cls=_Group)
@click.option("--traceback", is_flag=True, help="Show where in the code an error came from.")
def main(traceback: bool) -> None:
    """OpenSRP 2 (FHIR R4) to DHIS2: totals, never people; every value with a verdict.

    Settings come from the environment; .env.example lists them all.
    """


@main.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of FHIR NDJSON.")
def demo(data: Path | None) -> None:
    """Run the whole chain against the sandbox servers and show what it did."""
    from opensrp_dhis2.demo import demo_environment, run_demo  # noqa: PLC0415 - Dagster takes a second to import

    os.environ.update(demo_environment(data, os.environ))
    if not run_demo(data, _settings(), console):
        sys.exit(1)


def _settings() -> Settings:
    return Settings.from_mapping(os.environ)
