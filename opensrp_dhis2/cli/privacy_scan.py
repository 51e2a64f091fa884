"""The command `privacy-scan`: proof that nothing of a person, and no secret, stands where others read.

It knows where this deployment keeps what is shared; how a word is found stands in privacy/scan.py.
"""

import os
import re
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import psycopg
import yaml
from rich import box
from sqlalchemy import make_url

from opensrp_dhis2.cli.console import PlainTable, opened_warehouse, print_table, read_settings, say
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.extract.airbyte_tables import AirbyteSchema
from opensrp_dhis2.privacy.scan import Needles, Scan, read_needles, scan_paths, scan_tables
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import CONNECT_LIMITS
from opensrp_dhis2.warehouse.postgres_errors import words_of

SHOWN = 100


@click.command("privacy-scan")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
def privacy_scan(paths: tuple[Path, ...]) -> None:
    """Search all that is shared, and PATHS, for names, phones, identifiers, positions, cursors and tokens.

    Looks into indicator, lookup and outbox, the reports, Dagster's records, logs. No word is ever shown. Exit code 1
    when something was found, or could not be read.
    """
    settings, done = read_settings(), Scan()
    with opened_warehouse() as warehouse:
        needles = read_needles(warehouse, _secrets(settings), _program(settings))
        with warehouse.connect() as connection:
            scan_tables(done, needles, connection)
    home = Path(os.environ.get("DAGSTER_HOME") or settings.data_dir / "dagster")
    ours = (settings.data_dir / "reports", settings.data_dir / "postgres" / "log", home)
    scan_paths(done, needles, {path.absolute(): None for path in (*ours, *paths)})
    _scan_dagster_database(done, needles, home)
    _show(done, needles)
    sys.exit(0 if done.is_clean else 1)


def _secrets(settings: Settings) -> dict[str, str]:
    """Return the secrets of the settings by name, but for defaults, which are public."""
    fields = {name: field.default for name, field in Settings.model_fields.items()}
    found = {
        name.upper(): str(getattr(settings, name))
        for name, default in fields.items()
        if name.endswith(("_password", "_token", "_secret")) and getattr(settings, name) != default
    }
    for server in ("FHIR", "DHIS2"):
        if password := found.get(f"{server}_PASSWORD"):
            user = getattr(settings, f"{server.lower()}_username")
            found[f"{server}_PASSWORD as sent"] = b64encode(f"{user}:{password}".encode()).decode()
    if secret := found.get("DHIS2_CLIENT_SECRET"):
        found["DHIS2_CLIENT_SECRET as sent"] = b64encode(f"{settings.dhis2_client_id}:{secret}".encode()).decode()
    return found | {f"{setting}'s password": password for setting, password in _passwords(settings) if password}


def _passwords(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the passwords that stand in URLs, as they are without percent-encoding."""
    if settings.warehouse_url:
        url = make_url(settings.warehouse_url)
        yield "WAREHOUSE_URL", url.password or str(url.query.get("password", ""))
    yield "FHIR_AIRBYTE_URL", AirbyteSchema(settings.fhir_airbyte_url).password
    storage = re.sub(r"^(\w+::)+", "", settings.fhir_ndjson_url)  # such as simplecache::
    yield "FHIR_NDJSON_URL", unquote(urlsplit(storage).password or "")
    yield "HTTP_PROXY", unquote(urlsplit(settings.http_proxy).password or "")
    yield "HTTPS_PROXY", unquote(urlsplit(settings.https_proxy).password or "")


def _program(settings: Settings) -> Iterator[Path]:
    """Yield the files whose words are this program's own."""
    package = Path(__file__).parent.parent
    yield from package.rglob("*.py")
    yield from package.rglob("*.html")
    yield from settings.project.sql_dir.glob("*/*.sql")
    yield from settings.project.view_files.values()


def _scan_dagster_database(done: Scan, needles: Needles, home: Path) -> None:
    """Search Dagster's own Postgres, where its dagster.yaml names one."""
    file = home / "dagster.yaml"
    storage = (yaml.safe_load(file.read_text()) or {}).get("storage", {}) if file.is_file() else {}
    if "postgres" not in storage:
        return
    given = storage["postgres"].get("postgres_url")
    url = os.environ.get(given.get("env", ""), "") if isinstance(given, dict) else given
    if not url:
        done.unread.append(f"Dagster's Postgres: {file} gives no postgres_url, or its variable is not set here")
        return
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain, **CONNECT_LIMITS) as connection:
            scan_tables(done, needles, connection, ["public"])
    except psycopg.Error as error:
        raise ConfigurationError(
            f"Dagster's Postgres, named in {file}, cannot be reached or read ({words_of(error)}): check its URL"
        ) from None


def _show(done: Scan, needles: Needles) -> None:
    table = PlainTable("place", "column", "kind", "digest", "times", box=box.SIMPLE)
    for finding, count in sorted(done.findings.items())[:SHOWN]:
        table.add_row(finding.place, finding.column, finding.kind, finding.digest, f"{count:,}")
    if done.findings:
        print_table(table)
    if len(done.findings) > SHOWN:
        say(f"{len(done.findings) - SHOWN:,} more places are not listed")
    for file in done.unread:
        say(f"not read: {file}")
    say("Looked for: " + ", ".join(f"{count:,} {kind}" for kind, count in sorted(needles.counts.items())))
    if needles.known:
        left_out = ", ".join(f"{count:,} {kind}" for kind, count in sorted(needles.known.items()))
        say(f"Not looked for, being words of places, DHIS2 or this program too: {left_out}")
    found = sum(done.findings.values())
    say(f"{found:,} found in {done.text_count:,} texts of {len(done.places):,} tables and files")
