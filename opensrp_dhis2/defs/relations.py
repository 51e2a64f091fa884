"""Assets `staging/*`, `member/*` and `indicator/*`: one for each file of dbt_like_views/, in the order of their reads."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from opensrp_dhis2.defs.failures import dagster_failures
from opensrp_dhis2.views.build import BuildResult, build_indicator, build_staging
from opensrp_dhis2.views.catalog import Catalog, View
from opensrp_dhis2.warehouse.database import Warehouse

MOST_LISTED = 12


def relation_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """Make the asset of every active view."""
    return [_indicator_asset(catalog, view) if view.kind == "indicator" else _staging_asset(catalog, view)
            for view in catalog.views]  # fmt: skip


def relation_key(name: str) -> dg.AssetKey:
    """Return the asset key of a relation: `staging.patient` is `staging/patient`."""
    return dg.AssetKey(name.split("."))


def _deps(view: View) -> list[dg.AssetKey]:
    return [relation_key(name) for name in sorted(view.depends_on)]


def _staging_asset(catalog: Catalog, view: View) -> dg.AssetsDefinition:
    @dg.asset(
        key=relation_key(view.name), deps=_deps(view), group_name="staging", kinds={"sql", "postgres"},
        description=f"{view.front_matter.description} Grain: {view.front_matter.grain}.",
    )  # fmt: skip
    def keep_up(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[None]:
        with dagster_failures(context.retry_number):
            result = build_staging(warehouse, catalog, view.name)
        return dg.MaterializeResult(metadata=_metadata(result))

    return keep_up


def _indicator_asset(catalog: Catalog, view: View) -> dg.AssetsDefinition:
    member, indicator = relation_key(f"member.{view.path_stem}"), relation_key(view.name)
    description = f"{view.front_matter.description} Grain: {view.front_matter.grain}."

    @dg.multi_asset(
        name=f"indicator__{view.path_stem}",
        specs=[
            dg.AssetSpec(member, deps=_deps(view), group_name="indicator", kinds={"sql"}, description=description),
            dg.AssetSpec(
                indicator, deps=[member, dg.AssetKey(["lookup", "period"])], group_name="indicator",
                kinds={"sql", "postgres"}, description=f"Totals of {member.to_user_string()} by org unit and period.",
            ),
        ],
    )  # fmt: skip
    def total(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):  # type: ignore[no-untyped-def]
        with dagster_failures(context.retry_number):
            result = build_indicator(warehouse, catalog, view.name)
        yield dg.MaterializeResult(asset_key=member)
        yield dg.MaterializeResult(asset_key=indicator, metadata=_metadata(result))

    return total


def _metadata(result: BuildResult) -> dict[str, Any]:
    counts = {"dagster/row_count": result.rows, "changed": result.changed, "seconds": round(result.seconds, 2)}
    return counts | ({} if result.touched is None else touched_metadata(result.touched))


def touched_metadata(periods: Sequence[str]) -> dict[str, Any]:
    """Return the past periods that a run touched: how many, and the newest twelve of them."""
    listed = ", ".join(periods[-MOST_LISTED:])
    return {"touched past periods": len(periods)} | ({"touched periods": listed} if periods else {})
