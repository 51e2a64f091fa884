"""The views drawn, as lines of text or as a Mermaid flow chart: for `opensrp-dhis2 views graph`."""

from collections.abc import Iterator

from opensrp_dhis2.views.catalog import Catalog


def graph_text(catalog: Catalog) -> str:
    """Draw what each view reads, as lines of text."""
    return "\n".join(_text_lines(catalog))


def _text_lines(catalog: Catalog) -> Iterator[str]:
    for view in catalog.in_order():
        yield view.name if view.kind == "staging" else f"{view.name} ({', '.join(view.front_matter.data_set_codes)})"
        reads = sorted(view.depends_on)
        for name in reads:
            yield f"{'`-' if name == reads[-1] else '|-'} {name}"
    for view in catalog.inactive:
        yield f"{view.name} is inactive: data_sets.yaml has none of {', '.join(view.front_matter.data_set_codes)}"


def graph_mermaid(catalog: Catalog) -> str:
    """Draw the views as a Mermaid flow chart, data flowing from left to right."""
    lines = ["flowchart LR"]
    for view in catalog.in_order():
        lines += [f"  {name} --> {view.provides}" for name in sorted(view.depends_on)]
        if view.kind == "indicator":
            lines.append(f"  {view.provides} --> {view.name}")
    return "\n".join(lines)
