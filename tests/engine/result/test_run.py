"""`result.json` of any version: what is known is used, what is not is named once."""

import json
import warnings

import pytest

from kerascnn import InputError, compare_runs
from kerascnn.engine.result.run import VERSION, Result
from kerascnn.results.find import all_runs, find_run
from kerascnn.results.report.note import note

IDS = ("a" * 32, "b" * 32)


@pytest.fixture
def rewritten(written_run):
    """Two runs whose result.json was changed by a function."""

    def rewrite(change):
        for run_id in IDS:
            file = written_run(run_id, [True, False]).folder / "result.json"
            table = json.loads(file.read_text())
            change(table)
            file.write_text(json.dumps(table))

    return rewrite


def commands():
    """The commands that read a result work with it; returns it."""
    assert len(compare_runs([run_id[:8] for run_id in IDS]).runs) == 2
    assert "test accuracy" in note(find_run("last"))
    return find_run(IDS[0])


@pytest.mark.parametrize("key", ["version", "history", "temperature", "findings", "data_seconds"])
def test_a_key_that_an_older_version_lacks_has_its_default(rewritten, key):
    rewritten(lambda table: table.pop(key))
    with warnings.catch_warnings(action="error"):
        result = commands()
    assert result.version == (0 if key == "version" else VERSION)


@pytest.mark.parametrize("change", [{"pruned": True}, {"pruned": 1, "version": VERSION + 1}])
def test_a_newer_version_or_unknown_key_is_named_once(rewritten, change):
    rewritten(lambda table: table.update(change, versions={"kerascnn": "9.0"}))
    with pytest.warns(UserWarning, match="written by kerascnn 9.0 in format .* pruned") as said:
        commands()
    assert len({str(warning.message) for warning in said}) == 1


def test_unknown_settings_of_a_newer_version_are_ignored(written_run):
    result = written_run(IDS[0], [True], training={"image_size": 16, "sharpness": 3})
    assert result.training.image_size == 16


@pytest.mark.parametrize(
    ("text", "fault"),
    [("{", "not a JSON object"), ("[1]", "not a JSON object"), ("{}", "it has no run_id, name")],
)
def test_an_unreadable_result_is_skipped_among_others(written_run, text, fault):
    written_run(IDS[0], [True])
    broken = written_run(IDS[1], [True]).folder / "result.json"
    broken.write_text(text)
    with pytest.raises(InputError, match=fault):
        Result.read(broken)
    with pytest.warns(UserWarning, match=fault):
        assert [run.run_id for run in all_runs()] == [IDS[0]]
