"""Folders of NDJSON as pages, on this machine and in object storage."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import fsspec
import msgspec
import pytest

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.fhir.ndjson import NdjsonFolder, measure, shown_url
from opensrp_dhis2.fhir.page import Page
from tests.support.fhir_script import flag


def lines(*ids: str) -> bytes:
    return b"".join(msgspec.json.encode(flag(one)) + b"\n" for one in ids)


def pages(folder: NdjsonFolder, resource_type: str = "Flag") -> Iterator[Page]:
    for file in folder.files(resource_type):
        with folder.fetched(file) as path:
            yield from folder.file_pages(path, resource_type)


def ids(folder: NdjsonFolder, resource_type: str = "Flag") -> list[str]:
    return [resource.id for page in pages(folder, resource_type) for resource in page.resources]


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    """An object storage in this process's memory."""
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    yield storage
    storage.store.clear()


def test_all_files_of_a_type_are_read_in_order_of_name_gzipped_or_not(tmp_path: Path) -> None:
    (tmp_path / "Flag-0001.ndjson.gz").write_bytes(gzip.compress(lines("c")))
    (tmp_path / "Flag-0000.ndjson").write_bytes(lines("a", "b").rstrip())
    (tmp_path / "FlagFoo.ndjson").write_bytes(lines("x"))
    (tmp_path / "README.md").write_text("nothing")
    folder = NdjsonFolder(tmp_path)
    assert ids(folder) == ["a", "b", "c"]
    assert folder.files("Patient") == []


def test_files_of_folders_below_belong_to_it_under_their_path(tmp_path: Path) -> None:
    for day, one in (("2026-11-02", "b"), ("2026-11-01", "a")):
        (tmp_path / day).mkdir()
        (tmp_path / day / "Flag.ndjson").write_bytes(lines(one))
    folder = NdjsonFolder(tmp_path)
    assert [file.name for file in folder.files("Flag")] == ["2026-11-01/Flag.ndjson", "2026-11-02/Flag.ndjson"]
    assert ids(folder) == ["a", "b"]


def test_a_single_file_is_a_folder_of_one(tmp_path: Path) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines("a"))
    (tmp_path / "Patient.ndjson").write_bytes(b"{}")
    folder = NdjsonFolder(tmp_path / "Flag.ndjson")
    assert [file.name for file in folder.files("Flag")] == ["Flag.ndjson"]
    assert ids(folder) == ["a"]


def test_a_file_url_and_its_path_are_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines("a"))
    by_url, by_path = NdjsonFolder(f"file://{tmp_path}/"), NdjsonFolder(tmp_path)
    assert by_url.url == by_path.url == f"file://{tmp_path}"
    assert by_url.files("Flag") == by_path.files("Flag")


def test_object_storage_is_read_through_fsspec(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.pipe({"/export/Flag-1.ndjson.gz": gzip.compress(lines("a", "b")), "/export/new/Flag-2.ndjson": lines("c")})
    folder = NdjsonFolder("memory://export")
    assert folder.url == "memory://export"
    assert ids(folder) == ["a", "b", "c"]


def test_a_fingerprint_tells_a_changed_file_wherever_it_lies(tmp_path: Path, bucket: fsspec.AbstractFileSystem) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines("a"))
    bucket.pipe("/export/Flag.ndjson", lines("a"))
    for folder in (NdjsonFolder(tmp_path), NdjsonFolder("memory://export")):
        assert folder.files("Flag") == folder.files("Flag")
    before = [NdjsonFolder(tmp_path).files("Flag"), NdjsonFolder("memory://export").files("Flag")]
    (tmp_path / "Flag.ndjson").write_bytes(lines("a", "b"))
    bucket.pipe("/export/Flag.ndjson", lines("a", "b"))
    after = [NdjsonFolder(tmp_path).files("Flag"), NdjsonFolder("memory://export").files("Flag")]
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_pages_hold_no_more_than_the_page_size(tmp_path: Path) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines(*"abcde"))
    assert [len(page) for page in pages(NdjsonFolder(tmp_path, page_size=2))] == [2, 2, 1]


def test_a_line_that_is_no_resource_is_rejected_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines("a") + b"\n{broken\r\n" + lines("b"))
    (page,) = pages(NdjsonFolder(tmp_path))
    assert [r.id for r in page.resources] == ["a", "b"]
    assert [r.body for r in page.rejected] == [b"{broken"]


def test_a_file_is_measured_by_its_lines_and_its_content_packed_or_not(tmp_path: Path) -> None:
    content = lines("a") + b"\n  \r\n{broken\n" + lines("b").rstrip()
    (tmp_path / "Flag.ndjson").write_bytes(content)
    (tmp_path / "Flag.ndjson.gz").write_bytes(gzip.compress(content))
    plain, packed = measure(tmp_path / "Flag.ndjson"), measure(tmp_path / "Flag.ndjson.gz")
    assert (plain.line_count, plain.digest) == (packed.line_count, packed.digest)
    assert plain.line_count == 3


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_a_byte_order_mark_is_no_part_of_the_first_resource(tmp_path: Path, packed: "type[bytes]") -> None:
    name = "Flag.ndjson.gz" if packed is gzip.compress else "Flag.ndjson"
    (tmp_path / name).write_bytes(packed(b"\xef\xbb\xbf" + lines("a", "b")))
    assert ids(NdjsonFolder(tmp_path)) == ["a", "b"]
    (tmp_path / name).write_bytes(packed(b"\xef\xbb\xbf\r\n"))
    assert (ids(NdjsonFolder(tmp_path)), measure(tmp_path / name).line_count) == ([], 0)


def test_a_folder_without_resources_and_one_that_is_not_there_are_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigurationError, match=rf"{folder} holds no file named <Type>\.ndjson"):
            NdjsonFolder(folder)


@pytest.mark.parametrize("damage", [lambda packed: packed[:-12], lambda packed: packed[:-20] + b"x" * 20])
def test_a_gzip_that_is_cut_off_or_damaged_is_named(tmp_path: Path, damage: "type[bytes]") -> None:
    path = tmp_path / "Flag.ndjson.gz"
    path.write_bytes(damage(gzip.compress(lines(*"abcdefgh"))))
    with pytest.raises(ConfigurationError, match=r"Flag\.ndjson\.gz cannot be read to its end"):
        measure(path)
    with pytest.raises(ConfigurationError, match=r"Flag\.ndjson\.gz cannot be read to its end"):
        list(pages(NdjsonFolder(tmp_path)))


def test_storage_whose_package_is_not_installed_is_named_with_the_package() -> None:
    with pytest.raises(ConfigurationError, match=r"abfs://.* package adlfs is not installed"):
        NdjsonFolder("abfs://container/export")


def test_storage_that_nothing_knows_is_named() -> None:
    with pytest.raises(ConfigurationError, match="tape://, which fsspec does not know"):
        NdjsonFolder("tape://vault/export")


@pytest.mark.parametrize("url", ["ftp://reader:Hunt/er2@h/x", "ftp://reader:Hunt/er2@h:21/x", "ftp://reader:12/er2@h"])
def test_a_url_whose_password_is_not_encoded_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="FHIR_NDJSON_URL cannot be taken apart") as error:
        shown_url(url)
    assert not any(part in str(error.value) for part in ("Hunt", "er2"))


def test_a_chained_url_is_shown_without_its_password() -> None:
    assert shown_url("simplecache::memory://exporter:hunter2@store/x") == "memory://store/x"


def test_a_password_in_the_url_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as error:
        NdjsonFolder("memory://exporter:hunter2@export/x?token=hunter2")
    assert "hunter2" not in str(error.value)
    assert "memory://export/x" in str(error.value)
