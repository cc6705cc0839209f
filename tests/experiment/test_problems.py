"""The line of a key in a file."""

import pytest

from kerascnn.experiment.problems import line_of

LINES = """\
a = [
  1,
  { b = 1 },
]
text = '''
[no.table]
c = 2
'''
d.e = 1 # comment
"f.g" = { h = 2 }

[t]
  [t.u]
  v = 1
[[s]]
x = 1
[s.y]
[[s]]
[[s.z]]
x = [[1,
  2]]
[[s.z]]
x = 1
"""


@pytest.mark.parametrize(
    ("key", "line"),
    {
        "a": 1, "a.0": 2, "a.1.b": 3, "text": 5, "c": 1, "no.table": 1, "d": 9, "d.e": 9,
        "t": 12, "t.u": 13, "t.u.v": 14, "t.u.missing": 13, "s": 15, "s.0": 15, "s.0.x": 16,
        "s.0.y": 17, "s.1": 18, "s.1.x": 18, "s.1.z.0": 19, "s.1.z.0.x": 20, "s.1.z.1.x": 23,
    }.items(),
)  # fmt: skip
def test_the_line_of_a_key(key, line):
    location = tuple(int(part) if part.isdigit() else part for part in key.split("."))
    assert line_of(location, LINES) == line


def test_the_line_of_a_key_with_a_dot():
    assert line_of(("f.g", "h"), LINES) == 10
