"""One file of dbt_like_views/, read: its name, its query, what it reads and what it gives."""

from dataclasses import dataclass
from typing import Literal

from opensrp_dhis2.views.front_matter import FrontMatter

Kind = Literal["staging", "indicator"]


@dataclass(frozen=True)
class View:
    """One file of dbt_like_views/."""

    name: str  # staging.patient, indicator.anc_visits
    kind: Kind
    path: str  # as a person finds it
    sql: str
    front_matter: FrontMatter
    reads: dict[str, int]  # relation -> line
    columns: tuple[str, ...] | None

    @property
    def path_stem(self) -> str:
        return self.name.split(".")[1]

    @property
    def provides(self) -> str:
        """The relation that others may read: the table itself, or the indicator's list."""
        return self.name if self.kind == "staging" else f"member.{self.path_stem}"

    @property
    def depends_on(self) -> frozenset[str]:
        return frozenset(self.reads)

    @property
    def raw_table(self) -> str:
        """The one raw table of a staging view (contract.py holds it to one)."""
        return next(iter(self.reads))
