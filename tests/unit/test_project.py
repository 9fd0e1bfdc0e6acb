from pathlib import Path

import pytest

from agent_infra.automation import AutomationError, Environment, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "Pulumi.local.yaml").write_text("config:\n  shop:size: 1\n")
    (tmp_path / "Pulumi.prod.yaml").write_text("")
    return Project.find(tmp_path)


def test_a_project_is_found_from_a_directory_inside_it(project: Project) -> None:
    inside = project.root / "stacks" / "deep"
    inside.mkdir(parents=True)
    assert Project.find(inside) == project


def test_without_a_project_the_error_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(AutomationError, match=r"No Pulumi\.yaml in .*--project"):
        Project.find(tmp_path)


def test_an_unknown_environment_names_the_known_ones_and_the_nearest(project: Project) -> None:
    with pytest.raises(AutomationError, match=r"'prd'.*Did you mean 'prod'.*local, prod"):
        Environment.open("prd", project=project)


def test_settings_that_are_not_yaml_are_an_error_that_names_the_file(project: Project) -> None:
    project.settings_file("prod").write_text("config: [")
    with pytest.raises(AutomationError, match=r"Pulumi\.prod\.yaml is not YAML"):
        project.settings("prod")


def test_an_environment_of_this_machine_is_not_rehearsed(project: Project) -> None:
    with pytest.raises(AutomationError, match="leave --rehearse out"):
        Environment.open("local", project=project, rehearse=True)


def test_a_rehearsal_has_a_directory_of_its_own(project: Project) -> None:
    rehearsal = Environment.open("prod", project=project, rehearse=True).local
    local = Environment.open("local", project=project).local
    assert rehearsal is not None and local is not None
    assert rehearsal.root.name == "prod.rehearsal"
    assert rehearsal.root.parent == local.root.parent
    assert Environment.open("prod", project=project).local is None
