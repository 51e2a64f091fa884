"""data_sets.yaml: the DHIS2 data sets that this deployment reports, and how.

It knows codes and rules of reporting; what DHIS2 itself says of a data set stands in lookup.data_set.
"""

import logging
from collections.abc import ItemsView
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from opensrp_dhis2.dhis2.periods import PeriodType
from opensrp_dhis2.errors import ConfigurationError, ViewError
from opensrp_dhis2.views.yaml_document import read_yaml

OLD_KEYS = {"vanished": "removed_totals", "foreign_edits": "external_edits"}
OLD_VALUES = {("completion", "in_step"): "mirror", ("zeros", "reported"): "reporting_units"}
_log = logging.getLogger(__name__)


class DataSet(BaseModel):
    """How one data set is reported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    period_type: PeriodType = Field(description="the data set's own period type in DHIS2")
    open_periods: Annotated[int, Field(ge=0)] = Field(
        3, description="how many past periods late data may still change; a later change is kept and shown, not sent"
    )
    completion: Literal["never", "when_complete", "mirror"] = Field(
        "never",
        description="`when_complete`: a unit is registered as complete once DHIS2 has every value of it; `mirror`: and "
        "taken back when that is no longer so (only what we registered ourselves)",
    )
    zeros: Literal["none", "reporting_units", "assigned"] = Field(
        "none",
        description="`none`: a total of 0 is not sent; `reporting_units`: 0 for every cell of a unit that reported anything "
        "in the period; `assigned`: 0 for every cell of every unit that the data set is assigned to",
    )
    removed_totals: Literal["delete", "zero"] = Field(
        "delete", description="what becomes of a delivered value that is no longer counted"
    )
    external_edits: Literal["report", "overwrite", "accept"] = Field(
        "report", description="what reconcile does with a value that somebody else changed in DHIS2"
    )
    attribute_options: dict[str, str] = Field(
        {}, description="category code: option code, when the data set has an attribute category combo"
    )

    @model_validator(mode="before")
    @classmethod
    def _take_old_names(cls, given: Any) -> Any:
        """Take the names of before, for one release, and say in the log what is written now."""
        if not isinstance(given, dict):
            return given
        for old in given.keys() & OLD_KEYS.keys():
            _log.warning("data_sets.yaml: `%s` is now called `%s`", old, OLD_KEYS[old])
        renamed = {OLD_KEYS.get(str(key), key): value for key, value in given.items()}
        for key, value in renamed.items():
            if new := OLD_VALUES.get((str(key), str(value))):
                _log.warning("data_sets.yaml: `%s: %s` is now written `%s: %s`", key, value, key, new)
                renamed[key] = new
        return renamed


class DataSets(RootModel[dict[str, DataSet]]):
    """Every data set that is reported, by its DHIS2 code."""

    @property
    def codes(self) -> list[str]:
        return list(self.root)

    @property
    def period_types(self) -> set[PeriodType]:
        return {data_set.period_type for data_set in self.root.values()}

    def items(self) -> ItemsView[str, DataSet]:
        return self.root.items()

    def of(self, code: str) -> DataSet:
        """Return a data set by code.

        Raises: ConfigurationError (terminal) when data_sets.yaml does not have it.
        """
        if code not in self.root:
            raise ConfigurationError(f"data set {code} is not in data_sets.yaml: add it there, or use {self.codes}")
        return self.root[code]


def read_data_sets(file: Path | None, *, path: str = "data_sets.yaml") -> DataSets:
    """Read data_sets.yaml.

    Raises: ViewError with path and line for a wrong file, ConfigurationError when there is none.
    """
    if file is None:
        raise ConfigurationError("dbt_like_views/data_sets.yaml is missing: it says which DHIS2 data sets to report")
    return read_yaml(DataSets, file.read_text(), path=path, error=ViewError)
