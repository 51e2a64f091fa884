"""Opens what the settings name: the warehouse, the FHIR client, the source, the DHIS2 client.

It knows which setting goes where; it refuses to know the environment and Dagster.
"""

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from opensrp_dhis2.dhis2.auth import make_auth, read_auth
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.extract.airbyte_tables import AirbyteSchema
from opensrp_dhis2.extract.extraction import Extraction, ReportProgress, unseen
from opensrp_dhis2.extract.source import AirbyteSource, ExportSource, FolderSource, SearchSource, Source
from opensrp_dhis2.fhir.auth import Judge
from opensrp_dhis2.fhir.auth import make_auth as make_fhir_auth
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.gateway import judge_token
from opensrp_dhis2.http.network import Network
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.embedded import start_embedded_postgres
from opensrp_dhis2.warehouse.migrations import migrate
from opensrp_dhis2.warehouse.pooler import refuse_transaction_pooling

logger = logging.getLogger(__name__)

_DHIS2_CREDENTIALS = ("username", "password", "token", "token_url", "client_id", "client_secret")


def open_warehouse(settings: Settings) -> Warehouse:
    """Open the warehouse with every migration applied; without WAREHOUSE_URL start the embedded Postgres."""
    url = settings.warehouse_url or start_embedded_postgres(settings.data_dir.absolute() / "postgres")
    warehouse = Warehouse(url, report_timezone=settings.report_timezone, report_now=settings.report_now)
    try:
        refuse_transaction_pooling(warehouse)
        migrate(warehouse, settings.project.sql_dir)
        with warehouse.connect() as connection:
            state.remember_address(connection, settings.fhir_base_url)
    except BaseException:
        warehouse.close()
        raise
    return warehouse


def open_dhis2(settings: Settings) -> Dhis2Client:
    """Open the client of DHIS2_BASE_URL with the credentials that DHIS2_AUTH asks for; nothing is sent yet."""
    given = {name: getattr(settings, f"dhis2_{name}") for name in _DHIS2_CREDENTIALS}
    credentials = read_auth(settings.dhis2_auth, given)
    return Dhis2Client(
        settings.dhis2_base_url,
        auth=make_auth(
            credentials, settings.dhis2_base_url, on_new_refresh_token=_refresh_token_keeper(settings.dhis2_token_file)
        ),
        request_seconds=settings.dhis2_request_seconds,
        network=network(settings),
    )


def _refresh_token_keeper(path: Path | None) -> Callable[[str], None]:
    """Return what writes each refresh token that replaces DHIS2_TOKEN into its file: DHIS2 takes each of them once."""

    def keep(token: str) -> None:
        try:
            if path is None:
                raise OSError("there is no DHIS2_TOKEN_FILE")
            part = path.with_name(f".{path.name}.part")
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(token)
            part.replace(path)
        except OSError as error:
            logger.error(
                "DHIS2 replaced the refresh token, and the new one cannot be kept (%s): give it in a DHIS2_TOKEN_FILE that "
                "this program may write, or a person must log in again for the next run",
                error.strerror or error,
            )

    return keep


def open_fhir(settings: Settings, judge: Judge | None = None) -> FhirClient:
    """Open the client of FHIR_BASE_URL with the credentials that FHIR_AUTH asks for; nothing is sent yet.

    Args: `judge` is given each access token before its use; by default it refuses one that filters or lacks a role.
    """
    auth = make_fhir_auth(
        settings.fhir_auth,
        username=settings.fhir_username,
        password=settings.fhir_password,
        token=settings.fhir_token,
        token_url=settings.fhir_token_url,
        client_id=settings.fhir_client_id,
        client_secret=settings.fhir_client_secret,
        judge=judge or partial(judge_token, resource_types=settings.all_resource_types),
    )
    return FhirClient(
        settings.fhir_base_url, auth=auth, page_size=settings.fhir_page_size, connections=settings.fhir_threads,
        network=network(settings),
    )  # fmt: skip


def open_source(
    settings: Settings, warehouse: Warehouse, client: FhirClient, progress: ReportProgress = unseen
) -> Source:
    """Return the source that FHIR_SOURCE names; nothing is read yet, and `client` is used only by search and export.

    Raises: ConfigurationError when the setting that this source needs is missing or wrong.
    """
    how = extraction(settings)
    if settings.fhir_source == "search":
        return SearchSource(client, warehouse, how, progress)
    if settings.fhir_source == "export":
        return ExportSource(SearchSource(client, warehouse, how, progress), settings.all_resource_types)
    if settings.fhir_source == "airbyte":
        url = settings.fhir_airbyte_url or warehouse.engine.url.render_as_string(hide_password=False)
        return AirbyteSource(AirbyteSchema(url, settings.fhir_airbyte_schema), warehouse, how)
    if not settings.fhir_ndjson_url:
        raise ConfigurationError("FHIR_SOURCE is ndjson: set FHIR_NDJSON_URL to the folder of the files")
    return FolderSource(settings.fhir_ndjson_url, warehouse, how, settings.fhir_page_size)


def network(settings: Settings) -> Network:
    """Say how all servers are reached: through which proxies, and whose certificates are believed."""
    return Network(settings.ca_bundle, settings.http_proxy, settings.https_proxy, settings.no_proxy)


def extraction(settings: Settings) -> Extraction:
    """Say how a type is read, by the settings' lag, overlap, threads and validation share."""
    return Extraction(
        settings.fhir_lag_seconds, settings.fhir_overlap_seconds, settings.fhir_threads, settings.fhir_validate_share
    )
