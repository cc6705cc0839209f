"""Runs that can be members of one ensemble, and those that cannot."""

from dataclasses import replace

import pytest

from kerascnn.engine.result.ensemble import EnsembleTable
from kerascnn.errors import InputError
from kerascnn.studies.ensemble.members import Common, find_members


@pytest.fixture
def two(written_run):
    return [written_run(letter * 32, [True, False]) for letter in "ab"]


def ensemble_of(members, written_run):
    tables = [{"run": member.run_id} for member in members]
    table = EnsembleTable(members=tables, views=1, shared_parameters=0, decisions=[])
    result = replace(written_run("c" * 32, [True, False]), ensemble=table)
    result.write()
    return result


def test_each_run_counts_once_and_an_ensemble_as_its_members(two, written_run):
    ensemble = ensemble_of(two, written_run)
    other = written_run("d" * 32, [True, True])
    found = find_members(["aaaa", ensemble, "bbbb", other])
    assert [one.run_id[0] for one in found] == ["a", "b", "d"]


MISFITS = {
    "one run": ({}, ["aaaa", "a" * 32], "at least two different runs; run aaaaaaaa is the only"),
    "gone": ({}, ["aaaa", "ffff"], 'no run "ffff"'),
    "other resizing": (
        {"training": {"resize": "pad"}},
        ["aaaa", "dddd"],
        "run dddddddd prepares images with resize = pad, run aaaaaaaa with crop",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_refused_in_one_message(case, two, written_run):
    changes, asked, message = MISFITS[case]
    written_run("d" * 32, [True, False], **changes)
    with pytest.raises(InputError, match=message) as refused:
        find_members(asked)
    assert len(str(refused.value).splitlines()) == 1


def test_other_classes_and_members_that_are_gone(two, written_run):
    for names, said in {
        ("circle", "star"): "it lacks square and it has star",
        ("square", "circle"): "the same in another order",
    }.items():
        other = replace(two[1], class_names=list(names))
        with pytest.raises(InputError, match=f"other classes than run aaaaaaaa: {said}"):
            find_members([two[0], other])
    ensemble = ensemble_of([two[0], replace(two[1], run_id="e" * 32)], written_run)
    with pytest.raises(InputError, match="its member eeeeeeee is gone"):
        find_members([ensemble, two[0]])


def test_members_of_other_sizes_share_the_largest_packed_image(written_run):
    def common(*training):
        runs = [written_run(f"{n}" * 32, [True], training=one) for n, one in enumerate(training)]
        return Common.of(runs)

    small, large = {"image_size": 16, "crop_margin": 0.25}, {"image_size": 24, "crop_margin": 0.25}
    assert common(small, small) == Common(16, 0.25, (16, 16))
    assert common(small, large) == Common(30, 0.0, (20, 30))
