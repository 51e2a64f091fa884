"""Files of NDJSON into raw tables, each proven by its lines and loaded once; files have no clock, so no watermark moves.

A gzip is read to its end before its first line is loaded, so that nothing is kept of one that was cut off.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeAlias

from opensrp_dhis2.errors import ConfigurationError, FhirUnavailableError
from opensrp_dhis2.extract.extraction import Extraction, TypeResult, TypeRun, load_pages, merged, run_in_pool
from opensrp_dhis2.fhir.ndjson import Content, NdjsonFile, NdjsonFolder, measure
from opensrp_dhis2.fhir.page import Page
from opensrp_dhis2.warehouse import loaded_file
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.load import Load, LoadCounts
from opensrp_dhis2.warehouse.loaded_file import LoadedFile

SHOWN_FILES = 20
_FolderRun: TypeAlias = TypeRun[NdjsonFolder]


def load_folder(folder: NdjsonFolder, warehouse: Warehouse, resource_type: str, how: Extraction) -> TypeResult:
    """Load the files of one type that are new or changed; safe to kill and to run again.

    Raises: ConfigurationError (terminal) for a type that never had a file, and naming each file that has no end, or
    changed while it was read; it is FhirUnavailableError (transient) when all that failed were only out of reach. The
    other files are loaded. Others as the warehouse.
    """
    started, result = time.monotonic(), TypeResult(resource_type)
    run, broken = (
        TypeRun(folder, folder.url, warehouse, resource_type, how),
        list[ConfigurationError | FhirUnavailableError](),
    )
    with warehouse.lock(f"files of {resource_type} at {folder.url}"):
        with warehouse.connect() as connection:
            connection.execute("select raw.ensure_table(%s)", (run.table,))
            known = loaded_file.known(connection, *run.of)
        files = folder.files(resource_type)
        if not files and not known:
            raise ConfigurationError(
                f"{folder.url} holds no file {resource_type}*.ndjson or {resource_type}*.ndjson.gz, and none was loaded: "
                f"deliver one, an empty one where there is no {resource_type}, or take it out of FHIR_RESOURCE_TYPES"
            )
        for file in files:
            try:
                _take(run, file, known.get(file.name), result)
            except (ConfigurationError, FhirUnavailableError) as error:
                broken.append(error)
                with warehouse.connect() as connection:
                    loaded_file.keep_broken(connection, *run.of, file.name, file.fingerprint, str(error))
    _raise_together(broken)
    result.seconds = time.monotonic() - started
    return result


def _take(run: _FolderRun, file: NdjsonFile, known: LoadedFile | None, result: TypeResult) -> None:
    """Load one file, unless its fingerprint or its content is known."""
    if known and known.fingerprint == file.fingerprint:
        result.known_files += 1
        return
    with run.server.fetched(file) as path:
        must_measure = known or file.is_packed  # a gzip shows only at its end whether it is whole
        content = measure(path) if must_measure else Content()
        if known and known.digest == content.digest:
            with run.warehouse.connect() as connection:
                same = LoadedFile(file.name, file.fingerprint, content.digest)
                loaded_file.keep_same(connection, *run.of, same)
            result.known_files += 1
            return
        loaded = TypeResult(run.resource_type)
        pages = run.server.file_pages(path, run.resource_type, None if must_measure else content)
        _load(run, merged(pages), loaded)
    counts = LoadCounts(0, loaded.read, loaded.inserted, loaded.updated, loaded.unchanged, loaded.rejected)
    result.files += 1
    result.add(counts, loaded.invalid)
    if counts.read != content.line_count or run.server.fingerprint(file.name) != file.fingerprint:
        raise ConfigurationError(
            f"{file.name} changed while it was read: let it be written under another name and renamed when it is whole; "
            "the next run reads it again"
        )
    with run.warehouse.connect() as connection:
        taken = LoadedFile(file.name, file.fingerprint, content.digest)
        loaded_file.keep_loaded(connection, *run.of, taken, content.line_count, counts)


def _load(run: _FolderRun, pages: Iterator[Page], loaded: TypeResult) -> None:
    """Load pages side by side, each in a transaction, and add up what became of their lines."""
    nexts, adding = Lock(), Lock()

    def load_next() -> bool:
        with nexts:
            page = next(pages, None)
        if page is None:
            return False
        with run.warehouse.connect() as connection:
            load = Load(connection, run.resource_type, source=run.source)
            invalid = load_pages(connection, load, run, [page])
            counts = load.counts()
        with adding:
            loaded.add(counts, invalid)
        return True

    def load_all(_: int) -> None:
        while load_next():
            pass

    with ThreadPoolExecutor(run.how.threads, thread_name_prefix="load") as pool:
        run_in_pool(pool, load_all, range(run.how.threads), lambda _: None)


def _raise_together(broken: Sequence[ConfigurationError | FhirUnavailableError]) -> None:
    if not broken:
        return
    message = "\n".join(str(error) for error in broken[:SHOWN_FILES])
    message += f"\nand {len(broken) - SHOWN_FILES} files more" if len(broken) > SHOWN_FILES else ""
    raise (FhirUnavailableError if all(error.is_transient for error in broken) else ConfigurationError)(message)
