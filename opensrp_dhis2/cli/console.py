"""What every command shares: the console, its tables, the settings, and errors shown as one message."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from opensrp_dhis2.connections import open_warehouse
from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.messages.catalogue import Catalogue, catalogue
from opensrp_dhis2.plain_text import json_line, one_line, plain_lines
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse

console = Console()
PIPE_WIDTH = 10_000  # into a pipe or a file every row stays one line, however long


class PlainTable(Table):
    """A table whose cells show the texts of others: no markup in them, no control characters."""

    def add_row(self, *cells: RenderableType | None, **how: Any) -> None:
        super().add_row(*(Text(one_line(cell)) if isinstance(cell, str) else cell for cell in cells), **how)


def table(heads: Iterable[str], title: str | None = None) -> PlainTable:
    """Return an empty table in the one style of the command line; numbers stand on the right, as `count` writes them."""
    made = PlainTable(box=box.SIMPLE, title=title, title_justify="left")
    for head in heads:
        made.add_column(head, overflow="fold")
    return made


def count(number: int | None) -> Text:
    """Return a number for a cell, on the right; nothing for None."""
    return Text("" if number is None else words().number(number), justify="right")


def print_table(drawn: Table) -> None:
    """Print a table as wide as the terminal; elsewhere as wide as it needs, so that nothing is cut off."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(width=width, markup=False, emoji=False, highlight=False).print(drawn)


def print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object a line."""
    for row in rows:
        click.echo(json_line(row))


def words() -> Catalogue:
    """Return the texts of REPORT_LANGUAGE."""
    return catalogue(read_settings().report_language)


def say(text: str, **how: Any) -> None:
    """Print a text that may hold words of others, without control characters; takes what click.secho does."""
    click.secho(plain_lines(text), **how)


class ErrorGroup(click.Group):
    """Shows an error of ours as one message; anything else is a defect and keeps its traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except OpenSrpDhis2Error as error:
            if context.params.get("traceback"):
                raise
            say(f"Error: {error}", fg="red", err=True)
            sys.exit(1)


def old_name(command: click.Command, name: str, new: str) -> click.Command:
    """Return a command under the name that it had before: hidden, and with a warning that names the new one."""
    return click.Command(
        name,
        params=command.params,
        callback=command.callback,
        help=command.help,
        hidden=True,
        deprecated=f"use `{new}`",
    )


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
