"""An installed wheel carries sql/ and dbt_like_views/ and works without a checkout."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

SCRIPT = """
from importlib.metadata import metadata
from importlib.resources import files
import opensrp_dhis2
from opensrp_dhis2.definitions import defs
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.catalog import load_catalog
assert opensrp_dhis2.__file__.startswith({target!r}), opensrp_dhis2.__file__
assert sorted(path.name for path in Project().sql_dir.glob("tables/*.sql"))[0] == "0001_raw.sql"
assert Project().sql_dir.joinpath("functions", "outbox_plan.sql").is_file()
assert str(Project().sql_dir).startswith({target!r})
assert len(load_catalog(Project()).indicators) >= 6
assert files("opensrp_dhis2").joinpath("py.typed").is_file()
about = metadata("opensrp_dhis2")
assert (about["License-Expression"], about["License-File"]) == ("Apache-2.0", "LICENSE")
assert files("opensrp_dhis2.report").joinpath("page.html").is_file()
assert "extract" in [job.name for job in defs().jobs]
print("the wheel works")
"""


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_wheel_works_without_a_checkout(tmp_path: Path) -> None:
    wheels, target = tmp_path / "wheels", tmp_path / "site"
    quiet = ["-q", "--disable-pip-version-check", "--no-deps", "--no-index"]
    run("-m", "pip", "wheel", *quiet, "--no-build-isolation", "-w", str(wheels), str(ROOT), cwd=tmp_path)
    [wheel] = wheels.glob("opensrp_dhis2-*.whl")
    run("-m", "pip", "install", *quiet, "--target", str(target), str(wheel), cwd=tmp_path)
    code = f"import sys; sys.path.insert(0, {str(target)!r})\n" + SCRIPT.format(target=str(target))
    assert "the wheel works" in run("-W", "ignore", "-c", code, cwd=tmp_path)
