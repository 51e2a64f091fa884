"""A folder of FHIR NDJSON, gzipped or not, here or in object storage, read as pages like a server's.

It knows file names and lines; a line that is no resource is a defect of that line, not of the file.
"""

import gzip
import hashlib
import os
import re
import tempfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path
from typing import IO, Any
from urllib.parse import SplitResult, urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from opensrp_dhis2.errors import ConfigurationError, FhirUnavailableError
from opensrp_dhis2.fhir.page import MOST_BYTES, Page

BLOCK_SIZE = 1 << 20  # bytes
_NAME = re.compile(r"([A-Z][A-Za-z]*)[^A-Za-z].*?ndjson(\.gz)?")


@dataclass(frozen=True)
class NdjsonFile:
    """One file; its name below the folder, and a fingerprint that changes when the storage holds another content."""

    name: str
    resource_type: str
    fingerprint: str

    @property
    def is_packed(self) -> bool:
        return self.name.endswith(".gz")


class Content:
    """What a file holds, as far as it was read: lines that are not blank, and the sha256 of all of it, unpacked.

    A byte order mark at its beginning belongs to neither.
    """

    def __init__(self) -> None:
        self.line_count, self._digest = 0, hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def add(self, lines: list[bytes]) -> None:
        self._digest.update(b"".join(lines))
        self.line_count += sum(map(bool, map(bytes.strip, lines)))

    def add_end(self, part: bytes) -> None:
        """Take in more of the last line."""
        self._digest.update(part)


class NdjsonFolder:
    """The files `<Type>*.ndjson[.gz]` of a folder and of those below it, such as Patient.ndjson, 2026/Patient-1.ndjson.gz.

    Args: a path, or any URL that fsspec knows; also of a single file.
    Raises: ConfigurationError for a folder that has none or cannot be read, FhirUnavailableError for storage that is out
    of reach.
    """

    def __init__(self, url: Path | str, *, page_size: int = 500) -> None:
        self._fs, self._root = _opened(str(url))
        self._page_size = page_size
        self.is_local = isinstance(self._fs, LocalFileSystem)
        self.url = shown_url(url)
        self._paths = self._listed()
        if not self._paths:
            raise ConfigurationError(f"{self.url} holds no file named <Type>.ndjson or <Type>.ndjson.gz")

    def files(self, resource_type: str) -> list[NdjsonFile]:
        """Return the files of a type, in order of name."""
        names = [name for name in self._paths if _type_of(name) == resource_type]
        return [NdjsonFile(name, resource_type, self.fingerprint(name)) for name in names]

    def fingerprint(self, name: str) -> str:
        """Return a file's state without reading it."""
        with self._translated(name):
            return str(self._fs.ukey(self._paths[name]))

    @contextmanager
    def fetched(self, file: NdjsonFile) -> Iterator[Path]:
        """Yield a file as one of this machine; from elsewhere it is fetched whole, so that no line comes before the last."""
        if self.is_local:
            yield Path(self._paths[file.name])
            return
        with tempfile.TemporaryDirectory(prefix="ndjson") as folder:
            path = Path(folder) / os.path.basename(file.name)
            with self._translated(file.name):
                self._fs.get_file(self._paths[file.name], str(path))
            yield path

    def file_pages(self, path: Path, resource_type: str, content: Content | None = None) -> Iterator[Page]:
        """Yield the lines of one file, a page at a time; the last may be empty.

        Args: `content` is told all that was read.
        Raises: ConfigurationError (terminal) for a file that cannot be read to its end.
        """
        page = Page()
        with _lines(path) as lines:
            for block in _blocks(lines, content):
                for line in block:
                    if body := line.strip():
                        page.add(resource_type, body)
                    if len(page) == self._page_size:
                        yield page
                        page = Page()
        yield page

    def _listed(self) -> dict[str, str]:
        with self._translated(""):
            self._fs.invalidate_cache()
            paths = sorted(self._fs.find(self._root))
        named = {path.removeprefix(self._root).lstrip("/") or os.path.basename(path): path for path in paths}
        return {name: path for name, path in named.items() if _type_of(name)}

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        place = f"{self.url}/{name}".rstrip("/")
        try:
            yield
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise ConfigurationError(
                f"{place} is not there or may not be read ({type(error).__name__}): correct FHIR_NDJSON_URL, or the account"
            ) from None
        except OSError as error:
            if error.errno == ENOSPC:
                raise ConfigurationError(
                    f"{place} does not fit on this machine (disk full): free space in {tempfile.gettempdir()}, or let "
                    "TMPDIR name a larger folder"
                ) from None
            raise FhirUnavailableError(f"{place} cannot be reached ({type(error).__name__}): try later") from None


def shown_url(url: Path | str) -> str:
    """Name a folder in rows and messages: a URL without secrets. Raises: ConfigurationError for one that is none."""
    storage, root = _opened(str(url))
    if isinstance(storage, LocalFileSystem):
        return str(storage.unstrip_protocol(root))
    parts = _unchained(str(url))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def measure(path: Path) -> Content:
    """Read a file to its end. Raises: ConfigurationError (terminal) when it has none, such as a gzip cut off."""
    content = Content()
    with _lines(path) as lines:
        for _ in _blocks(lines, content):
            pass
    return content


def _blocks(lines: IO[bytes], content: Content | None) -> Iterator[list[bytes]]:
    """Yield some lines at a time, and of one that is too long its beginning; `content` is told all of them."""
    block, size = list[bytes](), 0
    while line := lines.readline(MOST_BYTES + 1):
        block.append(line)
        size += len(line)
        if size < BLOCK_SIZE:
            continue
        if content:
            content.add(block)
        part = line
        while part and not part.endswith(b"\n"):
            part = lines.readline(BLOCK_SIZE)
            if content:
                content.add_end(part)
        yield block
        block, size = [], 0
    if content:
        content.add(block)
    yield block


@contextmanager
def _lines(path: Path) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            if lines.peek(len(BOM_UTF8)).startswith(BOM_UTF8):
                lines.read(len(BOM_UTF8))
            yield lines  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(
            f"{path.name} cannot be read to its end ({type(error).__name__}): fetch the file again; nothing of it is kept"
        ) from None


def _type_of(name: str) -> str:
    found = _NAME.fullmatch(os.path.basename(name))
    return found[1] if found else ""


def _unchained(url: str) -> SplitResult:
    """Take a URL apart, without what fsspec puts before it, such as simplecache::."""
    return urlsplit(re.sub(r"^(\w+::)+", "", url))


def _opened(url: str) -> tuple[Any, str]:
    protocol = url.partition("://")[0].rpartition("::")[2]
    try:
        parts = _unchained(url)
        if "@" in parts.path and ":" in parts.netloc and "@" not in parts.netloc:
            raise ConfigurationError(
                "FHIR_NDJSON_URL cannot be taken apart: percent-encode its password (%40 for @, %2F for /)"
            )
        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]
    except ImportError:
        package = known_implementations.get(protocol, {}).get("class", protocol).partition(".")[0]
        raise ConfigurationError(
            f"FHIR_NDJSON_URL begins with {protocol}://, for which the Python package {package} is not installed: install it"
        ) from None
    except ValueError:
        raise ConfigurationError(f"FHIR_NDJSON_URL begins with {protocol}://, which fsspec does not know") from None
