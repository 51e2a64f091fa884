"""Folders of NDJSON as pages."""

import gzip
from pathlib import Path

import msgspec
import pytest

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.fhir.ndjson import NdjsonFolder
from tests.fhir.script import flag


def lines(*ids: str) -> bytes:
    return b"".join(msgspec.json.encode(flag(one)) + b"\n" for one in ids)


def test_all_files_of_a_type_are_read_in_order_of_name_gzipped_or_not(tmp_path: Path) -> None:
    (tmp_path / "Flag-0001.ndjson.gz").write_bytes(gzip.compress(lines("c")))
    (tmp_path / "Flag-0000.ndjson").write_bytes(lines("a", "b").rstrip())
    (tmp_path / "FlagFoo.ndjson").write_bytes(lines("x"))
    (tmp_path / "README.md").write_text("nothing")
    folder = NdjsonFolder(tmp_path)
    assert folder.resource_types == ["Flag", "FlagFoo"]
    assert [r.id for page in folder.pages("Flag") for r in page.resources] == ["a", "b", "c"]
    assert list(folder.pages("Patient")) == []


def test_pages_hold_no_more_than_the_page_size(tmp_path: Path) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines(*"abcde"))
    assert [len(page) for page in NdjsonFolder(tmp_path, page_size=2).pages("Flag")] == [2, 2, 1]


def test_a_line_that_is_no_resource_is_rejected_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "Flag.ndjson").write_bytes(lines("a") + b"\n{broken\r\n" + lines("b"))
    (page,) = NdjsonFolder(tmp_path).pages("Flag")
    assert [r.id for r in page.resources] == ["a", "b"]
    assert [r.body for r in page.rejected] == [b"{broken"]


def test_a_folder_without_resources_and_a_file_cut_off_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no file named <Type>\.ndjson"):
        NdjsonFolder(tmp_path)
    (tmp_path / "Flag.ndjson.gz").write_bytes(gzip.compress(lines(*"abcdefgh"))[:-12])
    with pytest.raises(ConfigurationError, match=r"Flag\.ndjson\.gz cannot be read to its end"):
        list(NdjsonFolder(tmp_path).pages("Flag"))
