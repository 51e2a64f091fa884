"""The sandbox servers as the demo and the command line start them: which data, which metadata, where their state is.

It knows files; what the servers answer stands in the modules beside it.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from opensrp_dhis2.clock import Clock, machine_clock
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.project import Project
from opensrp_dhis2_sandbox.dhis2.app import create_app as create_dhis2
from opensrp_dhis2_sandbox.district.faults import OWN_ADDRESS
from opensrp_dhis2_sandbox.district.write import write_district
from opensrp_dhis2_sandbox.fhir.app import create_app as create_fhir
from opensrp_dhis2_sandbox.fhir.folder import load_folder
from opensrp_dhis2_sandbox.fhir.store import FhirStore

DISTRICT_METADATA = Path(__file__).parent / "district" / "metadata.json"


def fhir_app(data: Path | None, district_dir: Path, clock: Clock = machine_clock) -> Starlette:
    """Serve a folder of FHIR files; without one, the generated district, written once and kept.

    The district's server names itself by the address that some of the district's references carry.
    """
    address = None if data else OWN_ADDRESS
    if data is None:
        data = district_dir
        if not any(district_dir.glob("*.ndjson")):
            write_district(district_dir, today=clock().date())
    store = FhirStore(clock)
    load_folder(store, data)
    return create_fhir(store, server_address=address)


def dhis2_app(
    metadata_file: Path, store_path: Path | None, version: str = "2.43", clock: Clock = machine_clock
) -> Starlette:
    """Serve DHIS2 with metadata as contracts/dhis2/metadata.json has them, its values kept in an SQLite file."""
    return create_dhis2(read_sandbox_metadata(metadata_file), version=version, clock=clock, store_path=store_path)


def metadata_file(project: Project) -> Path:
    """Find the metadata of the sandbox DHIS2: the country's metadata.json, else the district's."""
    return project.file("metadata.json") or DISTRICT_METADATA


def read_sandbox_metadata(path: Path) -> dict[str, Any]:
    """Read a metadata file in stages. Raises: ConfigurationError (terminal) when it is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as DHIS2 metadata in JSON: {error}") from None
    if not isinstance(found, dict) or "stages" not in found:
        raise ConfigurationError(f"{path} has no member `stages`: give a file like sandbox/district/metadata.json")
    return found


def standing_clock(instant: str | None) -> Clock:
    """Make a clock that stands still at an instant; the machine's where none is given. Raises: ConfigurationError."""
    if instant is None:
        return machine_clock
    try:
        fixed = datetime.fromisoformat(instant)
    except ValueError:
        raise ConfigurationError(
            f"--clock {instant} is no instant: write for example 2026-11-21T12:00:00+00:00"
        ) from None
    return lambda: fixed if fixed.tzinfo else fixed.replace(tzinfo=UTC)
