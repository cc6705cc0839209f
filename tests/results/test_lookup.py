"""Runs and studies are found by the same names, and refused in the same words."""

import json
import os

import pytest

from kerascnn import InputError
from kerascnn.results.find import find_outcome, find_run
from kerascnn.results.lookup import Kind, find, find_unfinished, folders, runs_folder
from kerascnn.tracking.journal import JOURNAL

A, B, C = ("ab" + digit * 30 for digit in "123")


@pytest.fixture
def written(workplace):
    """Writes the folder of a kind, begun at a time, which has ended with a status if given."""

    def write(kind, run_id, time=1, status=None):
        folder = runs_folder() / run_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / kind.files[0]).touch()
        journal = [{"kind": "create", "time": 0}, {"kind": "resume", "time": time}]
        if status:
            journal.append({"kind": "end", "status": status})
        (folder / JOURNAL).write_text("".join(f"{json.dumps(entry)}\n" for entry in journal))
        return folder

    return write


@pytest.mark.parametrize("kind", Kind)
def test_one_is_found_by_its_id_a_prefix_its_folder_or_as_the_last(written, kind):
    first, second = written(kind, A, time=2), written(kind, B, time=1)
    for other in set(Kind) - {kind}:
        written(other, other.verb, time=3)
    assert [find(name, kind) for name in (A, A[:3], first)] == [first] * 3
    assert find("last", kind) == find_unfinished("last", kind) == first
    os.utime(second / JOURNAL, (9e9, 9e9))  # it was uploaded since
    assert find("last", kind) == first
    written(kind, B, time=4)  # it was resumed
    assert find("last", kind) == find_unfinished("last", kind) == second
    assert folders(kind) == [first, second]


@pytest.mark.parametrize("kind", Kind)
def test_what_is_not_there_is_told_in_the_same_words(written, kind):
    place = runs_folder()
    with pytest.raises(InputError) as error:
        find("last", kind)
    assert (
        str(error.value)
        == f"no {kind.noun} in {place} yet; `kerascnn {kind.verb} FILE` begins one."
    )
    with pytest.raises(InputError, match=f"no unfinished {kind.noun} in .*: nothing to resume"):
        find_unfinished("last", kind)
    for name in ("zz", ""):
        with pytest.raises(InputError) as error:
            find(name, kind)
        assert str(error.value) == (
            f'no {kind.noun} "{name}" in {place}; `kerascnn runs list` lists what is there.'
        )
    for run_id in (A, B):
        written(kind, run_id)
    with pytest.raises(InputError) as error:
        find("ab", kind)
    assert str(error.value) == (f'"ab" matches 2 folders: {A[:12]}, {B[:12]}. Give more of the id.')


@pytest.mark.parametrize("kind", Kind)
def test_one_that_has_finished_is_not_resumed(written, kind):
    written(kind, A, status="FINISHED")
    with pytest.raises(InputError, match=f"{kind.noun} {A[:8]} has finished: nothing to resume"):
        find_unfinished(A, kind)
    with pytest.raises(InputError, match="nothing to resume"):
        find_unfinished("last", kind)
    killed = written(kind, B, status="KILLED")
    assert find_unfinished("last", kind) == find_unfinished("ab2", kind) == killed


@pytest.mark.parametrize(
    ("kind", "unfinished", "finished"),
    [
        (Kind.SWEEP, "sweep --resume {}` resumes it", "sweep show {}` shows it"),
        (Kind.FOLDS, "folds --resume {}` resumes it", "compare {}` shows it"),
    ],
)
def test_a_study_is_not_a_run(written, kind, unfinished, finished):
    written(kind, A)
    for search in (find_run, lambda name: find_unfinished(name, Kind.RUN)):
        with pytest.raises(InputError) as error:
            search(A[:8])
        said = f"{A[:8]} is an unfinished {kind.noun}, not a run; `kerascnn "
        assert str(error.value) == said + unfinished.format(A[:8]) + "."
    written(kind, A, status="FINISHED")
    with pytest.raises(InputError) as error:
        find_run(A[:8])
    said = f"{A[:8]} is a {kind.noun}, not a run; `kerascnn "
    assert str(error.value) == said + finished.format(A[:8]) + "."


def test_one_without_its_result_is_not_shown(written):
    written(Kind.RUN, A)
    with pytest.raises(InputError, match=r"is an unfinished run; `kerascnn run --resume ab111111`"):
        find_run(A)
    written(Kind.RUN, B, status="FINISHED")  # such as a comparison
    with pytest.raises(InputError, match="is not the run of an experiment"):
        find_run(B)
    written(Kind.FOLDS, C)
    with pytest.raises(InputError, match=r"is an unfinished study of folds; .*folds --resume"):
        find_outcome(C)
    with pytest.raises(InputError, match="matches 3 folders"):
        find_outcome("ab")
