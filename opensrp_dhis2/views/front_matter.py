"""The YAML comment on top of every file in dbt_like_views/: what the view is, and what DHIS2 calls its totals.

It knows the keys and what they allow; it refuses to know the SQL below them and whether DHIS2 has the codes.
"""

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from opensrp_dhis2.errors import FrontMatterError
from opensrp_dhis2.views.yaml_document import read_yaml

Column = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$")]
Code = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
RelationColumn = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")]
TOTAL_KEYS = ("period_type", "period", "org_unit_id")
_COMMENT = re.compile(r"\s*/\*---[ \t]*\n(.*?)^---\*/", re.DOTALL | re.MULTILINE)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measure(_Strict):
    """One number: it counts rows, or the distinct values of a column, or sums one; `where` keeps the true rows."""

    data_element: Code = Field(description="the DHIS2 code of the data element")
    distinct: Column | None = Field(None, description="count the distinct values of this column, not the rows")
    sum: Column | None = Field(None, description="add up this column of numbers, not the rows")
    where: Column | None = Field(None, description="only the rows where this boolean column is true")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.distinct and self.sum:
            raise ValueError("a measure counts distinct values or sums a column, not both: make two measures")
        return self

    @property
    def columns(self) -> list[str]:
        return [column for column in (self.distinct, self.sum, self.where) if column]


class Disaggregation(_Strict):
    """A column whose values are options of a DHIS2 category."""

    category: Code = Field(description="the DHIS2 code of the category")
    options: Annotated[dict[str, Code], Field(min_length=1)] = Field(
        description="value of the column: the DHIS2 code of its category option"
    )


class DataTests(_Strict):
    """What must hold of the rows; every test is a query for the rows that break it."""

    not_null: list[Column] = Field([], description="columns that are never null")
    unique: list[Column | list[Column]] = Field(
        [], description="columns, or lists of columns, that have no value twice"
    )
    accepted_values: dict[Column, list[bool | int | str]] = Field(
        {}, description="column: the values that it may have; null passes"
    )
    relationships: dict[Column, RelationColumn] = Field(
        {}, description="column: the `schema.relation.column` in which its values must stand"
    )


class FrontMatter(_Strict):
    """The front matter of one view."""

    description: str = Field(description="what the rows are, in one sentence")
    grain: str = Field(description="what one row is")
    source: str = Field("", description="the page of the standard that the view rests on")
    key: Column = Field("id", description="the unique column of a staging view, by which it is kept up to date")
    indexes: list[list[Column]] = Field([], description="more indexes of a staging view, each a list of columns")
    data_set: Code | list[Code] = Field(
        [], description="the DHIS2 code of the data set that the indicator feeds, or several"
    )
    measures: dict[Column, Measure] = Field({}, description="name: one number of the indicator")
    disaggregation: dict[Column, Disaggregation] = Field(
        {}, description="column: the DHIS2 category that its values belong to"
    )
    tests: DataTests | None = Field(None, description="what must hold of the rows")

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        taken = [*TOTAL_KEYS, *self.disaggregation]
        doubled = [name for name in self.measures if name in taken]
        if doubled:
            raise ValueError(f"measure {doubled[0]} has the name of another column of the totals: rename it")
        return self

    @property
    def data_set_codes(self) -> list[str]:
        return [self.data_set] if isinstance(self.data_set, str) else list(self.data_set)


def read_front_matter(text: str, *, path: str) -> FrontMatter:
    """Read the opening comment of a view's file.

    Raises: FrontMatterError with path and line: no such comment, no YAML, an unknown or missing key, a wrong value.
    """
    found = _COMMENT.match(text)
    if found is None:
        raise FrontMatterError("the file must open with a comment /*--- ... ---*/ of YAML: add it", path=path, line=1)
    first_line = text.count("\n", 0, found.start(1)) + 1
    return read_yaml(FrontMatter, found[1], path=path, first_line=first_line)
