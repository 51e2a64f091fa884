"""What every command shares: the console, the settings from the environment, and errors shown as one message."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console

from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.sources import open_warehouse
from opensrp_dhis2.warehouse.database import Warehouse

console = Console()


class ErrorGroup(click.Group):
    """Shows an error of ours as one message; anything else is a defect and keeps its traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except OpenSrpDhis2Error as error:
            if context.params.get("traceback"):
                raise
            click.secho(f"Error: {error}", fg="red", err=True)
            sys.exit(1)


@contextmanager
def opened_warehouse() -> Iterator[Warehouse]:
    """Open the warehouse of the settings for one command."""
    opened = open_warehouse(read_settings())
    try:
        yield opened
    finally:
        opened.close()


def read_settings() -> Settings:
    """Read the settings from the environment of this process."""
    return Settings.from_mapping(os.environ)
