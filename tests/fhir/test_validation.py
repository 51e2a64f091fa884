"""The sample that fhir.resources looks at."""

import json
from pathlib import Path

from opensrp_dhis2.fhir.ndjson import NdjsonFolder
from opensrp_dhis2.fhir.release import MOST_PROBLEMS, is_sampled, problems_of


def body(**more: object) -> bytes:
    return json.dumps({"resourceType": "Patient", "id": "a", **more}).encode()


def test_sample_is_the_same_whenever_it_is_drawn_and_about_as_large_as_asked() -> None:
    ids = [f"resource-{number}" for number in range(20_000)]
    sample = [one for one in ids if is_sampled(one, 0.01)]
    assert sample == [one for one in ids if is_sampled(one, 0.01)]
    assert 100 < len(sample) < 300
    assert set(sample) <= {one for one in ids if is_sampled(one, 0.02)}
    assert not any(is_sampled(one, 0) for one in ids)
    assert all(is_sampled(one, 1) for one in ids)


def test_problems_tell_place_and_kind_and_no_value() -> None:
    found = problems_of("Patient", body(birthDate="Kampala", gender=["female"], name=[{"given": {"x": "Grace"}}]))
    assert any(problem.startswith("birthDate") for problem in found)
    assert not any(word in problem for problem in found for word in ("Kampala", "Grace", "female"))


def test_a_valid_resource_and_a_type_without_model_have_no_problems() -> None:
    assert problems_of("Patient", body(birthDate="1990-01-31")) == []
    assert problems_of("NoSuchType", body()) == []


def test_many_problems_are_told_short() -> None:
    found = problems_of("Patient", body(**{f"unknown{number}": 1 for number in range(50)}))
    assert len(found) == MOST_PROBLEMS


def test_what_a_real_server_exported_is_mostly_valid(shared: Path) -> None:
    folder = NdjsonFolder(shared / "data" / "hapi-export")
    for resource_type in ("Location", "QuestionnaireResponse"):
        [file] = folder.files(resource_type)
        with folder.fetched(file) as path:
            pages = list(folder.file_pages(path, resource_type))
        resources = [r for page in pages for r in page.resources if is_sampled(r.id, 0.1)]
        assert len(resources) > 20
        assert [r.id for r in resources if problems_of(resource_type, r.body)] == []
