"""Where the project's own files are: sql/, dbt_like_views/ and a country's folder laid over them.

It knows paths only; what the files say is read by warehouse/ and views/.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from opensrp_dhis2.errors import ConfigurationError

_PACKAGE = Path(__file__).parent


def _own_folder(name: str) -> Path:
    """Find a top-level folder beside the package (a checkout) or packed inside it (an installed wheel)."""
    beside = _PACKAGE.parent / name
    return beside if beside.is_dir() else _PACKAGE / "_project" / name


@dataclass(frozen=True)
class Project:
    """The files of one deployment: ours, and the country's own folder (PROJECT_DIR) if there is one."""

    country_dir: Path | None = None

    def __post_init__(self) -> None:
        if self.country_dir is not None and not self.country_dir.is_dir():
            raise ConfigurationError(
                f"PROJECT_DIR names {self.country_dir}, which is not a folder: create it or unset the setting"
            )

    @property
    def sql_dir(self) -> Path:
        return _own_folder("sql")

    @cached_property
    def view_files(self) -> dict[str, Path]:
        """Return each view's relative path (`staging/patient.sql`) and the file it comes from; the country's wins."""
        found = {}
        for root in self._view_dirs():
            found.update({path.relative_to(root).as_posix(): path for path in sorted(root.glob("*/*.sql"))})
        return dict(sorted(found.items()))

    def file(self, name: str) -> Path | None:
        """Find a file beside the views or at the top of the country's folder, such as data_sets.yaml or place.csv."""
        folders = [*self._view_dirs()]
        if self.country_dir is not None:
            folders.append(self.country_dir)
        return next((folder / name for folder in reversed(folders) if (folder / name).is_file()), None)

    def _view_dirs(self) -> list[Path]:
        country = [self.country_dir / "dbt_like_views"] if self.country_dir else []
        return [_own_folder("dbt_like_views"), *country]
