"""data_sets.yaml: the DHIS2 data sets that this deployment reports, and how.

It knows codes and rules of reporting; what DHIS2 itself says of a data set stands in lookup.data_set.
"""

from collections.abc import ItemsView
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from opensrp_dhis2.dhis2.periods import PeriodType
from opensrp_dhis2.errors import ConfigurationError, ViewError
from opensrp_dhis2.views.yaml_document import read_yaml


class DataSet(BaseModel):
    """How one data set is reported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    period_type: PeriodType
    open_periods: Annotated[int, Field(ge=0)] = 3  # past periods that late data may still change
    completion: Literal["never", "when_complete", "in_step"] = "never"  # in_step also takes a completion back
    zeros: Literal["none", "reported", "assigned"] = "none"
    vanished: Literal["delete", "zero"] = "delete"  # what becomes of a delivered value that is no longer counted
    foreign_edits: Literal["report", "overwrite", "accept"] = "report"  # a value that somebody else changed in DHIS2
    attribute_options: dict[str, str] = {}  # category code -> option code


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
        """Give a data set by code.

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
