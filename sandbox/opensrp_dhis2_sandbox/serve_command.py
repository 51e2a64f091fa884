"""The commands `sandbox fhir` and `sandbox dhis2`."""

from pathlib import Path

import click

from opensrp_dhis2_sandbox.server import serve_forever
from opensrp_dhis2_sandbox.start import DISTRICT_METADATA, dhis2_app, fhir_app, standing_clock


@click.group()
def sandbox() -> None:
    """Servers on loopback that answer as real ones were recorded to do."""


@sandbox.command("fhir")
@click.option("--port", default=8180, show_default=True)
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def sandbox_fhir(port: int, data: Path) -> None:
    """Serve a folder of FHIR NDJSON (also gzipped) or transaction Bundles, as HAPI FHIR 8 does."""
    serve_forever(fhir_app(data, data), port)


@sandbox.command("dhis2")
@click.option("--port", default=8181, show_default=True)
@click.option("--version", type=click.Choice(["2.41", "2.43"]), default="2.43", show_default=True)
@click.option("--metadata", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=DISTRICT_METADATA)
@click.option("--clock", help="The server's instant, for example 2026-11-21T12:00:00+00:00; default: now.")
@click.option("--store", type=click.Path(dir_okay=False, path_type=Path), help="SQLite file for its state.")
def sandbox_dhis2(port: int, version: str, metadata: Path, clock: str | None, store: Path | None) -> None:
    """Serve DHIS2's Web API, with the import engine of 2.41 or of 2.43."""
    serve_forever(dhis2_app(metadata, store, version, standing_clock(clock)), port)
