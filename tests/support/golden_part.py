"""A part of a page that the code writes, between two marks: compared, or rewritten by `make golden`."""

import os
import re
from pathlib import Path


def part(page: Path, name: str, made: str) -> str:
    """Return the part of a page between its marks, after rewriting it when REWRITE_GOLDEN is set."""
    between = re.compile(rf"(<!-- begin {name} -->\n)(.*?)(<!-- end {name} -->)", re.DOTALL)
    if os.environ.get("REWRITE_GOLDEN"):
        page.write_text(between.sub(lambda found: f"{found[1]}{made}{found[3]}", page.read_text()))
    [(_, stands, _)] = between.findall(page.read_text())
    return str(stands)
