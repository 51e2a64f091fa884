"""Every view of the project: its file, front matter, query and what it reads, in an order that builds, as text or chart.

It knows files; it refuses to know the database. A file of the country's folder stands in for ours of the same path.
"""

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

from opensrp_dhis2.dhis2.periods import PeriodType
from opensrp_dhis2.errors import (
    ConfigurationError,
    CyclicViewError,
    FrontMatterError,
    UnknownRelationError,
    ViewError,
)
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.data_sets import DataSets, read_data_sets
from opensrp_dhis2.views.front_matter import FrontMatter, read_front_matter
from opensrp_dhis2.views.query import RAW_TABLES, parse_query

_CREATED = re.compile(r"^create (?:table|or replace view) (\w+\.\w+)", re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")

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


@dataclass(frozen=True)
class Catalog:
    """The views in building order; those whose data sets are not reported are inactive."""

    data_sets: DataSets
    views: tuple[View, ...]
    inactive: tuple[View, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, View]:
        return {view.name: view for view in self.views}

    @property
    def staging(self) -> list[View]:
        return [view for view in self.views if view.kind == "staging"]

    @property
    def indicators(self) -> list[View]:
        return [view for view in self.views if view.kind == "indicator"]

    @property
    def resource_types(self) -> list[str]:
        """The FHIR types that the staging views read."""
        return sorted({RAW_TABLES[name] for view in self.views for name in view.reads if name in RAW_TABLES})

    def indicators_of(self, data_set_code: str) -> list[View]:
        return [view for view in self.indicators if data_set_code in view.front_matter.data_set_codes]

    def period_types(self, view: View) -> list[PeriodType]:
        """The period types in which an indicator is totalled: those of its data sets."""
        return sorted({self.data_sets.of(code).period_type for code in view.front_matter.data_set_codes})


def load_catalog(project: Project) -> Catalog:
    """Read every view of the project.

    Raises: ViewError (terminal) with path and line: front matter, SQL, an unknown relation or a circle.
    """
    catalog, problems = read_catalog(project)
    if problems:
        raise problems[0]
    return catalog


def read_catalog(project: Project) -> tuple[Catalog, list[ViewError]]:
    """Read every view; give those that can be read, and what is wrong with the others."""
    data_sets = _data_sets(project)
    views, problems = list[View](), list[ViewError]()
    for relative, file in project.view_files.items():
        try:
            views.append(read_view(relative, file))
        except ViewError as problem:
            problems.append(problem)
    active = [kept for view in views if (kept := _reported(view, data_sets))]
    inactive = tuple(view for view in views if not _reported(view, data_sets))
    try:
        # a relation may be missing only because its own file is wrong, which is said already
        if not problems:
            refuse_unknown([*active, *inactive], known_relations(project))
        active = build_order(active)
    except ViewError as problem:
        problems.append(problem)
    return Catalog(data_sets, tuple(active), inactive), problems


def read_view(relative: str, file: Path) -> View:
    """Read one file; its folder says its kind, its path its name."""
    path = _shown(file)
    kind, stem = relative.removesuffix(".sql").split("/")
    if kind not in ("staging", "indicator"):
        raise ViewError("views stand in staging/ or indicator/: move the file", path=path)
    if not _NAME.fullmatch(stem) or len(stem) > 50:
        raise ViewError("a view's name is lower-case letters, digits and _, at most 50: rename the file", path=path)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ViewError(f"byte {error.start} is not UTF-8: save the file as UTF-8", path=path) from None
    front_matter = read_front_matter(text, path=path)
    _fits_kind(front_matter, kind, path)
    query = parse_query(text, path=path)
    return View(f"{kind}.{stem}", kind, path, query.sql, front_matter, query.reads, query.columns)  # type: ignore[arg-type]


def known_relations(project: Project) -> frozenset[str]:
    """Name what views may read beside each other: raw tables and what sql/ makes."""
    made = {name for file in project.sql_dir.glob("*/*.sql") for name in _CREATED.findall(file.read_text())}
    return frozenset(made | RAW_TABLES.keys())


def _data_sets(project: Project) -> DataSets:
    file = project.file("data_sets.yaml")
    try:
        return read_data_sets(file, path=_shown(file) if file else "data_sets.yaml")
    except UnicodeDecodeError:
        raise ConfigurationError("data_sets.yaml is not UTF-8 text: save it as UTF-8") from None


def _reported(view: View, data_sets: DataSets) -> View | None:
    """Keep an indicator when one of its data sets is reported, with those that are."""
    if view.kind == "staging":
        return view
    codes = [code for code in view.front_matter.data_set_codes if code in data_sets.codes]
    return replace(view, front_matter=view.front_matter.model_copy(update={"data_set": codes})) if codes else None


def _fits_kind(front_matter: FrontMatter, kind: str, path: str) -> None:
    given = front_matter.model_fields_set
    if kind == "indicator":
        missing = sorted({"data_set", "measures"} - given)
        if missing:
            raise FrontMatterError(f"an indicator needs {' and '.join(missing)}: add them", path=path, line=1)
    foreign = given & ({"data_set", "measures", "disaggregation"} if kind == "staging" else {"key", "indexes"})
    if foreign:
        raise FrontMatterError(f"{', '.join(sorted(foreign))} has no meaning in {kind}/: remove it", path=path, line=1)


def _shown(file: Path) -> str:
    return file.relative_to(Path.cwd()).as_posix() if file.is_relative_to(Path.cwd()) else str(file)


def build_order(views: Collection[View]) -> list[View]:
    """Put every view after those it reads; what is independent stands by name, staging first.

    Raises: CyclicViewError with the file and line of the reference that closes the circle.
    """
    providers = {view.provides: view for view in views}
    ordered = sorted(views, key=lambda view: (view.kind == "indicator", view.name))
    sorter = TopologicalSorter({view.provides: sorted(view.depends_on & providers.keys()) for view in ordered})
    try:
        names = list(sorter.static_order())
    except CycleError as problem:
        circle = list(reversed(problem.args[1]))
        reader = providers[circle[0]]
        raise CyclicViewError(
            f"views read each other in a circle: {' -> '.join(circle)}. Take one of these references out",
            path=reader.path,
            line=reader.reads[circle[1]],
        ) from None
    return [providers[name] for name in names]


def refuse_unknown(views: Collection[View], known: Collection[str]) -> None:
    """Raise UnknownRelationError for a relation that neither a view, nor raw, nor sql/ provides."""
    provided = {view.provides for view in views} | set(known)
    for view in views:
        for name, line in view.reads.items():
            if name not in provided:
                raise UnknownRelationError(_unknown(name, provided), path=view.path, line=line)


def _unknown(name: str, provided: Collection[str]) -> str:
    schema, _, stem = name.partition(".")
    if schema == "indicator":
        return f"{name} holds totals, which cannot be counted again: read the list member.{stem}"
    near = difflib.get_close_matches(name, sorted(provided), n=1)
    hint = f"did you mean {near[0]}?" if near else f"add the file {schema}/{stem}.sql or correct the name"
    return f"relation {name} is provided by nothing: {hint}"


def graph_text(catalog: Catalog) -> str:
    """Draw what each view reads, as lines of text."""
    return "\n".join(_text_lines(catalog))


def _text_lines(catalog: Catalog) -> Iterator[str]:
    for view in catalog.views:
        yield view.name if view.kind == "staging" else f"{view.name} ({', '.join(view.front_matter.data_set_codes)})"
        reads = sorted(view.depends_on)
        for name in reads:
            yield f"{'`-' if name == reads[-1] else '|-'} {name}"
    for view in catalog.inactive:
        yield f"{view.name} is inactive: data_sets.yaml has none of {', '.join(view.front_matter.data_set_codes)}"


def graph_mermaid(catalog: Catalog) -> str:
    """Draw the views as a Mermaid flow chart, data flowing from left to right."""
    lines = ["flowchart LR"]
    for view in catalog.views:
        lines += [f"  {name} --> {view.provides}" for name in sorted(view.depends_on)]
        if view.kind == "indicator":
            lines.append(f"  {view.provides} --> {view.name}")
    return "\n".join(lines)
