"""A folder of FHIR NDJSON, gzipped or not, read as pages like a server's.

It knows file names and lines; a line that is no resource is a defect of that line, not of the file.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.fhir.page import Page

_NAME = re.compile(r"([A-Z][A-Za-z]*)[^A-Za-z].*?ndjson(\.gz)?")


class NdjsonFolder:
    """The files `<Type>*.ndjson[.gz]` of a folder, for example Patient.ndjson or Patient-0001.ndjson.gz."""

    def __init__(self, folder: Path, *, page_size: int = 500) -> None:
        self.folder, self._page_size = folder, page_size
        self._files = {path: found[1] for path in sorted(folder.glob("*")) if (found := _NAME.fullmatch(path.name))}
        if not self._files:
            raise ConfigurationError(f"{folder} holds no file named <Type>.ndjson or <Type>.ndjson.gz")

    @property
    def resource_types(self) -> list[str]:
        return sorted(set(self._files.values()))

    def pages(self, resource_type: str) -> Iterator[Page]:
        """Give the lines of a type's files, `page_size` at a time.

        Raises: ConfigurationError (terminal) for a file that cannot be read to its end.
        """
        for path, found in self._files.items():
            if found == resource_type:
                yield from self._file_pages(path, resource_type)

    def _file_pages(self, path: Path, resource_type: str) -> Iterator[Page]:
        page = Page()
        try:
            with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
                for line in lines:
                    if body := line.strip():
                        page.add(resource_type, body)
                    if len(page) == self._page_size:
                        yield page
                        page = Page()
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigurationError(
                f"{path} cannot be read to its end ({type(error).__name__}): fetch the file again; what was read of it "
                "before is not kept"
            ) from None
        yield page
