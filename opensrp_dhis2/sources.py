"""Opens what the settings name: the warehouse, the FHIR client, the DHIS2 client, the catalog of views.

It knows which setting goes where; it refuses to know the environment and Dagster.
"""

from opensrp_dhis2.dhis2.auth import read_auth as read_dhis2_auth
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.fhir.auth import read_auth as read_fhir_auth
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse, start_embedded_postgres
from opensrp_dhis2.warehouse.migrations import migrate


def open_warehouse(settings: Settings) -> Warehouse:
    """Open the warehouse with every migration applied; without WAREHOUSE_URL start the embedded Postgres."""
    url = settings.warehouse_url or start_embedded_postgres(settings.data_dir.absolute() / "postgres")
    warehouse = Warehouse(url, report_timezone=settings.report_timezone)
    migrate(warehouse, settings.project.sql_dir)
    return warehouse
