"""The files that folders, globs and braces name."""

import pytest

from kerascnn import expand_braces
from kerascnn.components.builtin.shard_files import files_of


@pytest.mark.parametrize(
    ("pattern", "expanded"),
    [
        ("a.tar", ["a.tar"]),
        ("t-{08..11}.tar", ["t-08.tar", "t-09.tar", "t-10.tar", "t-11.tar"]),
        ("t-{9..10}", ["t-9", "t-10"]),
        ("{a,b}/{0..1}", ["a/0", "a/1", "b/0", "b/1"]),
        ("{a}", ["{a}"]),
    ],
)
def test_braces(pattern, expanded):
    assert list(expand_braces(pattern)) == expanded


def test_a_folder_a_pattern_and_a_file(tmp_path):
    for name in ("b.tar", "a.tar", "in/c.tar", ".d.tar", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def found(*patterns):
        files = files_of(tuple(tmp_path / one for one in patterns), ".tar", "train")
        return [file.relative_to(tmp_path).as_posix() for file in files]

    assert found("") == ["a.tar", "b.tar", "in/c.tar"]
    assert found("[ab].tar", "**/*.tar") == ["a.tar", "b.tar", "in/c.tar"]
    assert found("b.tar", "a.tar") == ["b.tar", "a.tar"]
