"""The catalog: which files count, in which order, and what each mistake says."""

import pytest

from opensrp_dhis2.errors import ConfigurationError, CyclicViewError, FrontMatterError, UnknownRelationError, ViewError
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.catalog import graph_mermaid, graph_text, load_catalog, read_catalog
from opensrp_dhis2.views.contract import check
from opensrp_dhis2.views.data_sets import DataSets
from opensrp_dhis2.views.yaml_document import read_yaml
from tests.views.conftest import INDICATOR, MEMBER, STAGING, Write


def test_our_own_views_keep_their_contract() -> None:
    catalog = load_catalog(Project())
    assert check(catalog) == []
    assert catalog.inactive == ()
    assert {data_set.period_type for _, data_set in catalog.data_sets.items()} == {"Weekly", "Monthly", "Quarterly"}


def test_every_view_comes_after_what_it_reads() -> None:
    catalog = load_catalog(Project())
    provided = {view.provides for view in catalog.views}
    seen = set[str]()
    for view in catalog.views:
        assert view.depends_on & provided <= seen
        seen.add(view.provides)


def test_the_resource_types_to_extract_are_those_that_staging_reads() -> None:
    types = load_catalog(Project()).resource_types
    assert "QuestionnaireResponse" in types
    assert "CareTeam" not in types


def test_a_file_of_the_country_replaces_ours_of_the_same_path(write_project: Write) -> None:
    catalog = load_catalog(write_project({"staging/patient.sql": STAGING + "select id, id as own from raw.patient"}))
    assert catalog.by_name["staging.patient"].columns == ("id", "own")


def test_an_indicator_of_an_unreported_data_set_is_inactive(write_project: Write) -> None:
    catalog = load_catalog(write_project({"indicator/births.sql": INDICATOR + MEMBER}))
    assert [view.path_stem for view in catalog.indicators] == ["births"]
    assert "population" in {view.path_stem for view in catalog.inactive}
    assert "indicator.population is inactive: data_sets.yaml has none of CHW_Q" in graph_text(catalog)


def test_an_indicator_keeps_only_the_data_sets_that_are_reported(write_project: Write) -> None:
    files = {"indicator/births.sql": INDICATOR.replace("DS_M", "[DS_M, DS_OTHER]") + MEMBER}
    catalog = load_catalog(write_project(files))
    assert catalog.indicators[0].front_matter.data_set_codes == ["DS_M"]
    assert [view.path_stem for view in catalog.indicators_of("DS_M")] == ["births"]


def test_a_circle_is_named_with_the_reference_that_closes_it(write_project: Write) -> None:
    files = {
        "indicator/a.sql": f"{INDICATOR}{MEMBER}\njoin member.b using (event_on)",
        "indicator/b.sql": f"{INDICATOR}{MEMBER}\njoin member.a using (event_on)",
    }
    with pytest.raises(CyclicViewError) as caught:
        load_catalog(write_project(files))
    assert "dbt_like_views/indicator/" in str(caught.value)
    assert caught.value.line == 9
    assert "member.a -> member.b -> member.a" in str(caught.value) or "member.b -> member.a -> member.b" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "select id\nfrom staging.patients",
            ":6: relation staging.patients is provided by nothing: did you mean staging",
        ),
        ("select id from raw.patiens", ":5: relation raw.patiens is provided by nothing: did you mean raw.patient?"),
        ("select id from indicator.population", ":5: indicator.population holds totals, which cannot be counted again"),
        ("select id from other.thing", ":5: relation other.thing is provided by nothing: add the file other/thing.sql"),
    ],
)
def test_an_unknown_relation_is_named_with_file_line_and_remedy(write_project: Write, sql: str, said: str) -> None:
    with pytest.raises(UnknownRelationError) as caught:
        load_catalog(write_project({"staging/new.sql": STAGING + sql}))
    assert f"dbt_like_views/staging/new.sql{said}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("staging/New.sql", STAGING + "select 1 as id", ViewError, "rename the file"),
        ("marts/new.sql", STAGING + "select 1 as id", ViewError, "views stand in staging/ or indicator/"),
        ("staging/new.sql", INDICATOR + MEMBER, FrontMatterError, "data_set, measures has no meaning in staging/"),
        ("indicator/new.sql", STAGING + MEMBER, FrontMatterError, "an indicator needs data_set and measures"),
        ("data_sets.yaml", "DS_M: {period_type: Fortnightly}", ViewError, "data_sets.yaml:1: 'DS_M.period_type'"),
        ("data_sets.yaml", "DS_M:\n  period_type: Monthly\n  zeroes: none", ViewError, "data_sets.yaml:3: unknown key"),
    ],
)
def test_a_file_in_the_wrong_shape_says_what_to_do(
    write_project: Write, name: str, text: str, error: type[ViewError], said: str
) -> None:
    with pytest.raises(error, match=said.replace("(", r"\(")):
        load_catalog(write_project({name: text}))


def test_every_wrong_file_is_listed_not_only_the_first(write_project: Write) -> None:
    _, problems = read_catalog(
        write_project({"staging/a.sql": "select 1", "staging/b.sql": STAGING + "delete from raw.x"})
    )
    assert [problem.path.rsplit("/", 1)[1] for problem in problems] == ["a.sql", "b.sql"]


def test_a_data_set_that_is_not_reported_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="data set HMIS_999 is not in data_sets"):
        load_catalog(Project()).data_sets.of("HMIS_999")


def test_the_graph_shows_what_flows_where() -> None:
    catalog = load_catalog(Project())
    assert "staging.patient --> member.population\n" in graph_mermaid(catalog)
    assert "member.population --> indicator.population" in graph_mermaid(catalog)
    assert "indicator.population (CHW_Q)\n|- lookup.period\n" in graph_text(catalog)


def test_old_names_of_data_sets_yaml_are_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    old = "A: {period_type: Monthly, vanished: zero, foreign_edits: accept, completion: in_step, zeros: reported}"
    new = "A: {period_type: Monthly, removed_totals: zero, external_edits: accept, completion: mirror, "
    new += "zeros: reporting_units}"
    assert read_yaml(DataSets, new, path="data_sets.yaml") == read_yaml(DataSets, old, path="data_sets.yaml")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 4
    assert "data_sets.yaml: `zeros: reported` is now written `zeros: reporting_units`" in said
