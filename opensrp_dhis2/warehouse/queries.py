"""The named queries of sql/queries/: one file a topic, each query below a line `-- name: <name>`, ended by a semicolon.

It knows files and names; what a query says is Postgres's business.
"""

import re
from functools import cache

from opensrp_dhis2.project import Project

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def query(topic: str, name: str) -> str:
    """Return the text of a query, with psycopg's placeholders `%(name)s`. Raises: KeyError where there is none."""
    return _file(topic)[name]


@cache
def _file(topic: str) -> dict[str, str]:
    return queries_of((Project().sql_dir / "queries" / f"{topic}.sql").read_text())


def queries_of(text: str) -> dict[str, str]:
    """Return the queries of a file by name, without their semicolon.

    Raises: ValueError for a query that something follows, such as a comment that belongs below the next name.
    """
    _, *parts = _NAME.split(text)
    found = {name: query.rstrip() for name, query in zip(parts[::2], parts[1::2], strict=True)}
    for name, said in found.items():
        if not said.endswith(";"):
            raise ValueError(f"the query {name} does not end with a semicolon: put comments below its `-- name:`")
    return {name: said.removesuffix(";") for name, said in found.items()}
