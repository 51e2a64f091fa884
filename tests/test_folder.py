"""Files of NDJSON into raw tables: each once, each proven, and nothing of one that has no end."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.extract import Extraction, TypeResult, load_folder
from opensrp_dhis2.fhir.ndjson import Content, NdjsonFolder
from opensrp_dhis2.warehouse import loaded_file
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.raw import landed
from tests.support.sql import execute, rows

HOW = Extraction(threads=4, validate_share=0)
LINE = '{"resourceType":"Flag","id":"%s","meta":{"versionId":"%d","lastUpdated":"2026-01-01T00:00:00Z"}}\n'


def lines(*ids: str, version: int = 1) -> bytes:
    return "".join(LINE % (one, version) for one in ids).encode()


def run(folder: Path | str, warehouse: Warehouse) -> TypeResult:
    return load_folder(NdjsonFolder(folder), warehouse, "Flag", HOW)


def certificates(folder: Path | str, warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    with warehouse.connect() as connection:
        return {one["file_name"]: one for one in loaded_file.certificates(connection, NdjsonFolder(folder).url, "Flag")}


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    yield storage
    storage.store.clear()


def test_every_line_of_a_file_is_accounted_for(tmp_path: Path, warehouse: Warehouse) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines("a", "b") + lines("a", version=2) + b"\n{broken\n" + lines("b"))
    result = run(tmp_path, warehouse)
    assert (result.files, result.read, result.rejected) == (1, 5, 1)
    assert landed(warehouse) == {"a": 2, "b": 1}
    certificate = certificates(tmp_path, warehouse)["Flag.ndjson"]
    counts = {name: certificate[f"{name}_count"] for name in ("line", "inserted", "updated", "unchanged", "rejected")}
    assert counts == {"line": 5, "inserted": 2, "updated": 0, "unchanged": 2, "rejected": 1}


def test_a_file_that_was_loaded_is_not_read_again_and_a_new_one_is(tmp_path: Path, warehouse: Warehouse) -> None:
    (tmp_path / "Flag-1.ndjson").write_bytes(lines("a", "b"))
    run(tmp_path, warehouse)
    (tmp_path / "Flag-2.ndjson").write_bytes(lines("b", version=2))
    result = run(tmp_path, warehouse)
    assert (result.files, result.known_files, result.read, result.updated) == (1, 1, 1, 1)
    assert landed(warehouse) == {"a": 1, "b": 2}


def test_a_file_that_changed_is_read_again(tmp_path: Path, warehouse: Warehouse) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines("a", "b"))
    run(tmp_path, warehouse)
    (tmp_path / "Flag.ndjson").write_bytes(lines("a", "b", "c"))
    result = run(tmp_path, warehouse)
    assert (result.files, result.inserted, result.unchanged) == (1, 1, 2)
    assert certificates(tmp_path, warehouse)["Flag.ndjson"]["line_count"] == 3


def test_a_file_that_was_only_touched_is_known_by_its_content(tmp_path: Path, warehouse: Warehouse) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines("a"))
    run(tmp_path, warehouse)
    os.utime(tmp_path / "Flag.ndjson", (1, 1))
    result = run(tmp_path, warehouse)
    assert (result.files, result.known_files, result.read) == (0, 1, 0)
    before = rows(warehouse, "select fingerprint from raw.loaded_file")
    assert before == [(NdjsonFolder(tmp_path).files("Flag")[0].fingerprint,)]


def test_a_type_that_never_had_a_file_is_refused_until_an_empty_one_says_that_there_is_none(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    (tmp_path / "Patient.ndjson").write_bytes(b"{}\n")
    (tmp_path / "flag.ndjson").write_bytes(lines("a"))
    with pytest.raises(ConfigurationError, match=rf"{tmp_path} holds no file Flag\*\.ndjson .* FHIR_RESOURCE_TYPES"):
        run(tmp_path, warehouse)
    (tmp_path / "Flag.ndjson").touch()
    assert (run(tmp_path, warehouse).files, landed(warehouse)) == (1, {})


def test_a_file_that_was_loaded_may_be_taken_away(tmp_path: Path, warehouse: Warehouse) -> None:
    (tmp_path / "Patient.ndjson").write_bytes(b"{}\n")
    (tmp_path / "Flag.ndjson").write_bytes(lines("a"))
    run(tmp_path, warehouse)
    (tmp_path / "Flag.ndjson").unlink()
    assert run(tmp_path, warehouse).files == 0
    assert landed(warehouse) == {"a": 1}


@pytest.mark.parametrize("emptying", ["truncate raw.flag", "drop table raw.flag"])
def test_a_table_that_was_emptied_is_filled_again(tmp_path: Path, warehouse: Warehouse, emptying: str) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines("a", "b"))
    run(tmp_path, warehouse)
    execute(warehouse, emptying)
    run(tmp_path, warehouse)
    assert landed(warehouse) == {"a": 1, "b": 1}


def test_nothing_is_kept_of_a_gzip_cut_off_and_the_other_files_are_loaded(tmp_path: Path, warehouse: Warehouse) -> None:
    many = [f"f{number}" for number in range(5000)]
    (tmp_path / "Flag-1.ndjson.gz").write_bytes(gzip.compress(lines(*many))[:-100])
    (tmp_path / "Flag-2.ndjson").write_bytes(lines("a"))
    with pytest.raises(ConfigurationError, match=r"Flag-1\.ndjson\.gz cannot be read to its end"):
        run(tmp_path, warehouse)
    assert landed(warehouse) == {"a": 1}
    states = {name: one["state"] for name, one in certificates(tmp_path, warehouse).items()}
    assert states == {"Flag-1.ndjson.gz": "broken", "Flag-2.ndjson": "loaded"}


def test_a_file_that_was_fetched_again_is_broken_no_more(tmp_path: Path, warehouse: Warehouse) -> None:
    whole = gzip.compress(lines("a", "b"))
    (tmp_path / "Flag.ndjson.gz").write_bytes(whole[:-12])
    with pytest.raises(ConfigurationError):
        run(tmp_path, warehouse)
    (tmp_path / "Flag.ndjson.gz").write_bytes(whole)
    assert run(tmp_path, warehouse).inserted == 2
    found = certificates(tmp_path, warehouse)["Flag.ndjson.gz"]
    assert (found["state"], found["reason"], found["line_count"]) == ("loaded", None, 2)


def test_a_broken_file_that_is_taken_away_is_forgotten(tmp_path: Path, warehouse: Warehouse) -> None:
    (tmp_path / "Flag-1.ndjson.gz").write_bytes(b"no gzip")
    (tmp_path / "Flag-2.ndjson").write_bytes(lines("a"))
    with pytest.raises(ConfigurationError):
        run(tmp_path, warehouse)
    (tmp_path / "Flag-1.ndjson.gz").unlink()
    run(tmp_path, warehouse)
    assert list(certificates(tmp_path, warehouse)) == ["Flag-2.ndjson"]


class GrowingFolder(NdjsonFolder):
    """A folder whose file is still being written: a line is added after it was measured."""

    def file_pages(self, path: Path, resource_type: str, content: Content | None = None) -> Iterator[Any]:
        with path.open("ab") as file:
            file.write(lines("late"))
        yield from super().file_pages(path, resource_type, content)


def test_a_file_that_grows_while_it_is_read_is_not_called_loaded(tmp_path: Path, warehouse: Warehouse) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines("a"))
    with pytest.raises(ConfigurationError, match=r"Flag\.ndjson changed while it was read"):
        load_folder(GrowingFolder(tmp_path), warehouse, "Flag", HOW)
    assert certificates(tmp_path, warehouse)["Flag.ndjson"]["state"] == "broken"
    run(tmp_path, warehouse)
    assert landed(warehouse) == {"a": 1, "late": 1}
    assert certificates(tmp_path, warehouse)["Flag.ndjson"]["state"] == "loaded"


def test_object_storage_is_loaded_once_and_again_when_an_object_changes(
    bucket: fsspec.AbstractFileSystem, warehouse: Warehouse
) -> None:
    bucket.pipe("/export/Flag.ndjson.gz", gzip.compress(lines("a")))
    results = [run("memory://export", warehouse) for _ in range(2)]
    bucket.pipe("/export/Flag.ndjson.gz", gzip.compress(lines("a", "b")))
    results.append(run("memory://export", warehouse))
    assert [(one.files, one.known_files, one.inserted) for one in results] == [(1, 0, 1), (0, 1, 0), (1, 0, 1)]
    assert rows(warehouse, "select distinct source from raw.load") == [("memory://export",)]


def test_many_files_and_pages_land_whole_with_every_line_counted(tmp_path: Path, warehouse: Warehouse) -> None:
    for number in range(3):
        ids = [f"f{one}" for one in range(number * 2500, number * 2500 + 5000)]
        (tmp_path / f"Flag-{number}.ndjson").write_bytes(lines(*ids))
    result = run(tmp_path, warehouse)
    assert (result.read, result.inserted, result.unchanged) == (15_000, 10_000, 5_000)
    assert len(landed(warehouse)) == 10_000
    assert rows(warehouse, "select sum(line_count) from raw.loaded_file where state = 'loaded'") == [(15_000,)]
