"""Named queries: each is called, each call has its query, and nothing slips behind one."""

import re

import pytest

from opensrp_dhis2.warehouse.queries import queries_of
from tests.conftest import ROOT

CALLS = {
    call
    for path in (ROOT / "opensrp_dhis2").rglob("*.py")
    for call in re.findall(r'\bquery\(\s*"(\w+)",\s*"(\w+)"', path.read_text())
}
NAMED = {
    (path.stem, name) for path in (ROOT / "sql" / "queries").glob("*.sql") for name in queries_of(path.read_text())
}


def test_every_call_has_its_query() -> None:
    assert len(CALLS) > 40
    assert CALLS <= NAMED


def test_every_query_is_named_by_somebody() -> None:
    """Some are chosen by a name that is put together, but the name itself stands in the code."""
    code = "".join(path.read_text() for path in (ROOT / "opensrp_dhis2").rglob("*.py"))
    assert [name for name in sorted(NAMED) if f'"{name[1]}"' not in code] == []


def test_a_comment_behind_a_query_is_refused_by_the_querys_name() -> None:
    text = "-- name: first\nselect 1;\n\n-- of the second\n-- name: second\nselect 2;\n"
    with pytest.raises(ValueError, match="query first does not end with a semicolon"):
        queries_of(text)
    assert queries_of(text.replace("-- of the second\n", "")) == {"first": "select 1", "second": "select 2"}
