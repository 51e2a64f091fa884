"""Which view reads which: the order of building, circles, and unknown relations.

It knows names and lines; it refuses to know SQL and the database.
"""

import difflib
from collections.abc import Collection
from graphlib import CycleError, TopologicalSorter

from opensrp_dhis2.errors import CyclicViewError, UnknownRelationError
from opensrp_dhis2.views.view import View


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
