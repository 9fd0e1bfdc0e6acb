"""A cluster goes from one minor version to the next, and never back."""

from __future__ import annotations

from datetime import date

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_infra.aws.cluster_versions import VERSIONS, VersionStepError, check_step, check_update

MINORS = st.integers(min_value=20, max_value=60)


@settings(max_examples=50)
@given(running=MINORS, asked=MINORS)
def test_a_step_is_allowed_to_the_same_version_and_to_the_next(running: int, asked: int) -> None:
    allowed = asked in (running, running + 1)
    try:
        check_step(running=f"1.{running}", asked=f"1.{asked}")
    except VersionStepError as error:
        assert not allowed
        assert f"1.{running}" in str(error)
        assert f"1.{asked}" in str(error)
    else:
        assert allowed


def test_a_skipped_version_is_told_with_the_next_allowed_one() -> None:
    with pytest.raises(VersionStepError, match=r"'1\.35' is wrong: the cluster runs 1\.33.*say .*\"1\.34\""):
        check_step(running="1.33", asked="1.35")


def test_a_step_back_is_told_with_what_is_allowed() -> None:
    with pytest.raises(VersionStepError, match=r'never goes back; say "1\.35" or "1\.36"'):
        check_step(running="1.35", asked="1.34")


def test_beyond_the_newest_version_there_is_no_next_one_to_propose() -> None:
    newest = list(VERSIONS)[-1]
    with pytest.raises(VersionStepError, match=rf'say "{newest}"$'):
        check_step(running=newest, asked="1.31")


def _update(running: str | None, asked: str | None) -> pulumi.ResourceHookArgs:
    return pulumi.ResourceHookArgs(
        urn="urn",
        id="id",
        name="it",
        type="aws:eks/cluster:Cluster",
        old_outputs={"version": running} if running else {},
        new_inputs={"version": asked} if asked else {},
    )


def test_an_update_of_the_resource_is_checked_by_the_version_that_the_state_has() -> None:
    check_update(_update("1.34", "1.34"))
    check_update(_update("1.34", "1.35"))
    with pytest.raises(VersionStepError):
        check_update(_update("1.33", "1.35"))


@pytest.mark.parametrize(("running", "asked"), [(None, "1.35"), ("1.33", None), (None, None)])
def test_an_update_whose_versions_are_not_known_is_let_be(running: str | None, asked: str | None) -> None:
    check_update(_update(running, asked))


def test_the_table_is_in_order_and_without_gaps() -> None:
    minors = [int(version.removeprefix("1.")) for version in VERSIONS]
    assert minors == list(range(minors[0], minors[0] + len(minors)))
    dates = [support.standard for support in VERSIONS.values() if support.standard]
    assert dates == sorted(dates)
    for support in VERSIONS.values():
        if support.standard and support.extended:
            # Twelve months of extended support follow fourteen of standard support.
            assert support.extended == date(
                support.standard.year + 1, support.standard.month, support.standard.day
            )
