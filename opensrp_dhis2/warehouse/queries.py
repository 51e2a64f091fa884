"""The named queries of sql/queries/: one file a topic, each query below a line `-- name: <name>`.

It knows files and names; what a query says is Postgres's business.
"""

import re
from functools import cache

from opensrp_dhis2.project import Project

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def query(topic: str, name: str) -> str:
    """Return the text of a query, with psycopg's placeholders `%(name)s`. Raises: KeyError where there is none."""
    return _queries(topic)[name]


@cache
def _queries(topic: str) -> dict[str, str]:
    """Read the queries of sql/queries/<topic>.sql by name, without their last semicolon."""
    _, *parts = _NAME.split((Project().sql_dir / "queries" / f"{topic}.sql").read_text())
    return {name: text.strip().removesuffix(";") for name, text in zip(parts[::2], parts[1::2], strict=True)}
