"""The command line `opensrp-dhis2`: what Dagster's own does not do.

It reads the environment, shows, and turns our errors into one message and an exit code; it decides nothing.
"""

from importlib.metadata import entry_points

import click

from opensrp_dhis2.cli.console import ErrorGroup, old_name
from opensrp_dhis2.cli.extract import extract
from opensrp_dhis2.cli.outbox import outbox
from opensrp_dhis2.cli.places import places
from opensrp_dhis2.cli.privacy_scan import privacy_scan
from opensrp_dhis2.cli.routes import routes
from opensrp_dhis2.cli.views import views


@click.group(cls=ErrorGroup)
@click.option("--traceback", is_flag=True, help="Show where in the code an error came from.")
def main(traceback: bool) -> None:
    """OpenSRP 2 (FHIR R4) to DHIS2: totals, never people; every value with a verdict.

    Settings come from the environment; .env.example lists them all.
    """


for command in (extract, views, outbox, places, routes, privacy_scan, old_name(privacy_scan, "scan", "privacy-scan")):
    main.add_command(command)
for found in entry_points(group="opensrp_dhis2.commands"):  # of the extra [demo]: demo, dev, sandbox, recordings
    main.add_command(found.load(), found.name)
