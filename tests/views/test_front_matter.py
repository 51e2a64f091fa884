"""Front matter: what is wrong is named with its file, its line and what to do."""

import pytest

from opensrp_dhis2.errors import FrontMatterError
from opensrp_dhis2.views.front_matter import read_front_matter

GOOD = """/*---
description: First antenatal contacts.
grain: one row per pregnancy
data_set: [HMIS_105, HMIS_106]
measures:
  women: {data_element: ANC_WOMEN, distinct: patient_id}
disaggregation:
  age_group: {category: ANC_AGE, options: {"<20": AGE_LT_20}}
tests:
  unique: [resource_id, [patient_id, event_on]]
---*/
select 1
"""


def refusal(text: str) -> FrontMatterError:
    with pytest.raises(FrontMatterError) as caught:
        read_front_matter(text, path="indicator/anc.sql")
    return caught.value


def test_the_comment_on_top_is_read() -> None:
    front = read_front_matter(GOOD, path="indicator/anc.sql")
    assert front.data_set_codes == ["HMIS_105", "HMIS_106"]
    assert front.measures["women"].distinct == "patient_id"
    assert front.disaggregation["age_group"].options == {"<20": "AGE_LT_20"}


def test_one_data_set_may_stand_without_a_list() -> None:
    front = read_front_matter(GOOD.replace("[HMIS_105, HMIS_106]", "HMIS_105"), path="indicator/anc.sql")
    assert front.data_set_codes == ["HMIS_105"]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("data_set:", "dataset:", 4, "unknown key 'dataset' (did you mean data_set?): the keys are"),
        ("grain: one row per pregnancy\n", "", 2, "key 'grain' is missing: add it"),
        ("distinct: patient_id", "distinct: Patient-ID", 6, "'measures.women.distinct'"),
        ("distinct: patient_id", "distinct: a, sum: b", 6, "make two measures"),
        ("distinct: patient_id", "average: a", 6, "unknown key 'measures.women.average'"),
        ("  women:", "  age_group:", 2, "measure age_group has the name of another column"),
        ("description: First", "description: first: First", 2, "this is not YAML"),
        ('{"<20": AGE_LT_20}', "{}", 8, "'disaggregation.age_group.options'"),
        ('{"<20": AGE_LT_20}', "{20: AGE_LT_20}", 8, "should be a valid string"),
        ("tests:", "grain: twice\ntests:", 9, "key 'grain' stands twice: keep one"),
        ("resource_id, [patient_id, event_on]", "resource_id, [Patient]", 10, "'tests.unique"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, line: int, said: str) -> None:
    error = refusal(GOOD.replace(old, new))
    assert str(error).startswith(f"indicator/anc.sql:{line}: ")
    assert said in str(error)


def test_a_file_without_front_matter_is_told_to_have_it() -> None:
    assert str(refusal("select 1")) == (
        "indicator/anc.sql:1: the file must open with a comment /*--- ... ---*/ of YAML: add it"
    )


def test_values_are_not_repeated_in_messages() -> None:
    assert "secret" not in str(refusal(GOOD.replace("data_element: ANC_WOMEN", "data_element: [secret]")))
