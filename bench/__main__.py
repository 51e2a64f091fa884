"""`make bench`: every benchmark in one run, as a table and as .data/bench.json; ratios, since machines differ."""

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import extract, hapi, ledger, load, outbox, staging, ways

BENCHES = {"load": load, "extract": extract, "staging": staging, "outbox": outbox, "ledger": ledger, "ways": ways}
ON_REQUEST = {"hapi": hapi}  # starts a server of Java
FILE = Path(".data/bench.json")


def main(names: list[str]) -> int:
    """Run the benchmarks named, or all; the exit code tells whether every target was met."""
    console, rows = Console(), []
    for name in names or BENCHES:
        with console.status(f"measuring {name}"):
            rows += {**BENCHES, **ON_REQUEST}[name].run(1.0)
    table = Table("what; its reference", "value", "reference", "ratio", "at least", "ok")
    for row in rows:
        said = "yes" if row["ok"] else "[red]no"
        table.add_row(
            row["name"], f"{row['value']:,}", f"{row['reference']:,}", str(row["ratio"]), str(row["target"]), said
        )
    console.print(table)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(rows, indent=1))
    return 0 if all(row["ok"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
