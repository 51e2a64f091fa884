"""Assets `lookup/*`: DHIS2's metadata, the calendar, places, and what each total is called in DHIS2."""

import dagster as dg

from opensrp_dhis2.defs.failures import dagster_failures
from opensrp_dhis2.defs.partitions import report_start
from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.metadata import read_metadata
from opensrp_dhis2.lookup.metadata import TABLES, fill_periods, replace_metadata
from opensrp_dhis2.lookup.place import read_mapping, resolve_places
from opensrp_dhis2.lookup.target import refresh_targets
from opensrp_dhis2.views.catalog import Catalog
from opensrp_dhis2.warehouse.database import Warehouse

WarehouseParam = dg.ResourceParam[Warehouse]


def lookup_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """Make the assets of the lookup stage; the metadata tables come from one reading of DHIS2."""
    return [_metadata_assets(catalog), _period_asset(catalog), _place_asset(), _target_asset(catalog)]


def lookup_key(table: str) -> dg.AssetKey:
    return dg.AssetKey(["lookup", table])


def _metadata_assets(catalog: Catalog) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="lookup__metadata",
        specs=[
            dg.AssetSpec(
                lookup_key(table), group_name="lookup", kinds={"dhis2", "postgres"},
                description=f"DHIS2's {table.replace('_', ' ')} rows as last read, for the data sets we report.",
            )
            for table in TABLES
        ],
    )  # fmt: skip
    def read(context: dg.AssetExecutionContext, warehouse: WarehouseParam, dhis2: dg.ResourceParam[Dhis2Client]):  # type: ignore[no-untyped-def]
        with dagster_failures(context.retry_number):
            metadata = read_metadata(dhis2, sorted(catalog.data_sets.codes))
            with warehouse.connect() as connection:
                counts = replace_metadata(connection, metadata, dhis2.base_url)
        for table in TABLES:
            yield dg.MaterializeResult(asset_key=lookup_key(table), metadata={"dagster/row_count": counts[table]})

    return read


def _period_asset(catalog: Catalog) -> dg.AssetsDefinition:
    @dg.asset(key=lookup_key("period"), group_name="lookup", kinds={"postgres"})
    def period(context: dg.AssetExecutionContext, warehouse: WarehouseParam) -> dg.MaterializeResult[None]:
        """The calendar: every period of the data sets' period types, with its first and last day."""
        settings = read_settings()
        with dagster_failures(context.retry_number), warehouse.connect() as connection:
            rows = fill_periods(connection, catalog.data_sets.period_types, report_start(settings), settings.today())
        return dg.MaterializeResult(metadata={"dagster/row_count": rows})

    return period


def _place_asset() -> dg.AssetsDefinition:
    @dg.asset(
        key=lookup_key("place"),
        deps=[dg.AssetKey(["raw", "location"]), lookup_key("org_unit")],
        group_name="lookup",
        kinds={"postgres"},
    )
    def place(context: dg.AssetExecutionContext, warehouse: WarehouseParam) -> dg.MaterializeResult[None]:
        """One row a FHIR Location: the DHIS2 org unit it reports to and the rule that said so, or why there is none."""
        with dagster_failures(context.retry_number):
            settings = read_settings()
            file = settings.project.file("place.csv")
            mapping = read_mapping(file) if file else []
            with warehouse.connect() as connection:
                rules = resolve_places(connection, mapping, settings.place_name_kinds)
        return dg.MaterializeResult(
            metadata={"dagster/row_count": sum(rules.values()), "unmapped": rules.get("none", 0), "rules": rules}
        )

    return place


def _target_asset(catalog: Catalog) -> dg.AssetsDefinition:
    @dg.asset(key=lookup_key("target"), deps=[lookup_key(t) for t in TABLES], group_name="lookup", kinds={"postgres"})
    def target(context: dg.AssetExecutionContext, warehouse: WarehouseParam) -> dg.MaterializeResult[None]:
        """One row a cell of an indicator: its data set, data element and option combos in DHIS2."""
        with dagster_failures(context.retry_number), warehouse.connect() as connection:
            rows = refresh_targets(connection, catalog.indicators, catalog.data_sets)
        return dg.MaterializeResult(metadata={"dagster/row_count": rows})

    return target
