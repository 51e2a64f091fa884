"""The house's rules of import, held to the code: data flows one way, and so do the imports."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.golden_part import part

PACKAGE = ROOT / "opensrp_dhis2"
ALLOWED = {
    "__init__": {"errors", "settings"},
    "clock": set(),
    "plain_text": set(),
    "errors": {"plain_text"},
    "http": {"clock", "errors"},
    "project": {"errors"},
    "messages": set(),
    "settings": {"clock", "errors", "messages", "project"},
    "fhir": {"clock", "http", "errors"},
    "dhis2": {"clock", "http", "messages", "errors"},
    "warehouse": {"errors", "project"},
    "views": {"warehouse", "errors", "project", "dhis2.periods"},
    "privacy": {"warehouse", "errors"},
    "extract": {"fhir", "warehouse", "clock", "errors"},
    "lookup": {"warehouse", "views", "errors", "dhis2.client", "dhis2.models", "dhis2.metadata", "dhis2.periods"},
    "outbox": {"warehouse", "lookup", "views", "dhis2", "http.retry", "messages", "clock", "errors", "plain_text"},
    "audit": {"warehouse", "dhis2", "outbox", "messages", "errors", "plain_text"},
    "report": {"warehouse", "audit.discrepancy", "messages", "plain_text", "errors"},
    "connections": {"settings", "http", "fhir", "dhis2", "warehouse", "extract", "errors"},
    "defs": None,
    "cli": None,
    "definitions": None,
    "__main__": None,
}  # None: everything below it


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_the_table_allows(path: Path) -> None:
    allowed = ALLOWED.get(room(path), set())
    ours = {name.removeprefix("opensrp_dhis2.") for name in imports(path) if name.startswith("opensrp_dhis2.")}
    foreign = [name for name in ours if not name.startswith(f"{room(path)}.")]
    assert allowed is None or [n for n in foreign if not any(f"{n}.".startswith(f"{a}.") for a in allowed)] == []


def test_only_defs_imports_dagster() -> None:
    guilty = [p for p in modules() if any(n.split(".")[0] == "dagster" for n in imports(p)) and room(p) != "defs"]
    assert [p.name for p in guilty] == ["definitions.py"]


def test_the_product_imports_nothing_of_the_sandbox_nor_what_only_the_sandbox_needs() -> None:
    needless = ("opensrp_dhis2_sandbox", "starlette", "uvicorn")
    assert [p.name for p in modules() if any(n.split(".")[0] in needless for n in imports(p))] == []


def test_only_resources_and_cli_read_the_environment() -> None:
    guilty = [p.relative_to(PACKAGE).as_posix() for p in modules() if "os.environ" in p.read_text()]
    assert {name.split("/")[0] if name.startswith("cli") else name for name in guilty} == {"cli", "defs/resources.py"}


def test_no_test_module_imports_another() -> None:
    """What several of them need stands in tests/support."""
    another = re.compile(r"^from (tests|\.)[\w.]* import .*\btest_|^from (tests\.|\.)[\w.]*\btest_", re.MULTILINE)
    assert [path.name for path in (ROOT / "tests").rglob("*.py") if another.search(path.read_text())] == []


def test_only_one_module_asks_the_machine_what_time_it_is() -> None:
    """Of the tests too, but for those of a real server, which has the machine's clock."""
    asks = re.compile(r"datetime\.(now|utcnow|today)\(|date\.today\(|\btime\.(time|time_ns|localtime|gmtime)\(")
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path.parent.name != "hapi" and path != Path(__file__)]
    guilty = [path.relative_to(ROOT).as_posix() for path in [*modules(), *tests] if asks.search(path.read_text())]
    assert guilty == ["opensrp_dhis2/clock.py"]


SQL = re.compile(
    r"\s*(select|insert into|update|delete from|with|create|drop|alter|do|truncate|lock|set|grant)\b", re.I
)


def texts_of_several_lines(path: Path) -> list[str]:
    """Return the string literals that stand on more than one line, docstrings left out."""
    tree = ast.parse(path.read_text())
    places = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, places) and isinstance(node.body[0], ast.Expr)
    }
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in docs)
    return [ast.unparse(node).lstrip("f").strip("\"'") for node in texts if node.lineno != node.end_lineno]


def test_no_sql_of_more_than_one_line_stands_in_python() -> None:
    guilty = [path for path in modules() if any(SQL.match(text) for text in texts_of_several_lines(path))]
    assert guilty == []


def summary(name: str) -> str:
    """Return the first line of a room's docstring."""
    path = PACKAGE / f"{name}.py"
    text = ast.get_docstring(ast.parse((path if path.is_file() else PACKAGE / name / "__init__.py").read_text()))
    assert text, name
    return text.splitlines()[0]


def rooms() -> str:
    found = ["| room | what it is | may import |", "|---|---|---|"]
    for name, allowed in ALLOWED.items():
        names = (
            ", ".join(f"`{other}`" for other in sorted(allowed)) or "nothing" if allowed is not None else "all below it"
        )
        found.append(f"| `{name}` | {summary(name)} | {names} |")
    return "\n".join(found) + "\n"


def test_the_golden_table_of_rooms_is_the_one_that_imports_are_held_to() -> None:
    assert part(ROOT / "docs" / "architecture.md", "rooms", rooms()) == rooms()


def test_every_room_stands_in_the_table() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert set(ALLOWED) == there


def test_what_a_room_may_import_is_there() -> None:
    named = {name for allowed in ALLOWED.values() if allowed for name in allowed}
    paths = {name: PACKAGE / name.replace(".", "/") for name in named}
    assert {
        name for name, path in paths.items() if not path.is_dir() and not path.with_suffix(".py").is_file()
    } == set()


def test_no_class_name_stands_twice() -> None:
    nodes = (node for path in modules() for node in ast.walk(ast.parse(path.read_text())))
    names = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_file_is_longer_than_about_300_lines() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in modules()}
    assert {name: length for name, length in lengths.items() if length > 305} == {}
