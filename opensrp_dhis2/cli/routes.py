"""The command `routes run`: what an upstream answers through a route of DHIS2, so that a route can be tried out.

It shows the answer whole, which may be a person's data: nothing of it is logged or kept.
"""

import sys
from pathlib import Path

import click

from opensrp_dhis2.cli.console import read_settings, say
from opensrp_dhis2.connections import open_dhis2
from opensrp_dhis2.dhis2.routes import run_route


@click.group()
def routes() -> None:
    """Routes of DHIS2, which routes.yaml names."""


@routes.command("run")
@click.argument("code")
@click.option("--method", default="GET", show_default=True, help="The HTTP method.")
@click.option("--path", "sub_path", default="", help="What follows the route's address, where that ends in /**.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A query parameter; may be repeated.")
@click.option("--body", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file to send.")
@click.option("--content-type", default="application/json", show_default=True, help="What the body is.")
def run(
    code: str, method: str, sub_path: str, params: tuple[str, ...], body: Path | None, content_type: str
) -> None:  # fmt: skip
    """Call the upstream of the route CODE and print its answer; exit 1 when it is an error."""
    query: dict[str, list[str]] = {}
    for given in params:
        name, equals, value = given.partition("=")
        if not equals:
            raise click.BadParameter(f"{name} needs a value: write NAME=VALUE", param_hint="--param")
        query.setdefault(name, []).append(value)
    with open_dhis2(read_settings()) as client:
        reply = run_route(
            client, code, method=method.upper(), sub_path=sub_path, params=query,
            body=body.read_bytes() if body else None, content_type=content_type,
        )  # fmt: skip
    who = "DHIS2 itself" if reply.is_from_dhis2 else "the upstream"
    say(f"{who} answered {reply.status} {reply.headers.get('content-type', '')}".rstrip(), err=True)
    if sys.stdout.isatty():  # an upstream's control characters reach no terminal; a file or a pipe gets the bytes
        say(reply.body.decode(errors="replace"))
    else:
        click.echo(reply.body, nl=False)
    if reply.status >= 400 or reply.is_from_dhis2:
        sys.exit(1)
