"""CONTRIBUTING.md's map of rooms and its table of dependencies say what is there."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def rows(title):
    """The cells of the table under a heading."""
    [part] = re.findall(rf"(?ms)^## {title}\n(.*?)(?=^## |\Z)", PAGE)
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[1:]]


def contents(room):
    """The names of what is in a room, packages with a slash."""
    if room.is_file():
        return ""
    names = [
        f"{path.stem}/" if path.is_dir() else path.stem
        for path in room.iterdir()
        if not path.name.startswith("_") and (path.suffix == ".py" or path.is_dir())
    ]
    return " ".join(sorted(names))


def test_the_map_has_every_room_on_its_floor():
    [layers] = [
        contract["layers"]
        for contract in PROJECT["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers" and contract["containers"] == ["kerascnn"]
    ]
    expected = []
    for floor, layer in enumerate(reversed(layers)):
        for name in reversed(layer.split(" | ")):
            room = ROOT / "kerascnn" / name
            room = room if room.is_dir() else room.with_suffix(".py")
            shown = f"`{name}/`" if room.is_dir() else f"`{name}.py`"
            expected.insert(0, [str(floor), shown, contents(room)])
    found = rows("Where things are")
    named = [[floor, room, files] for floor, room, _, files in found]
    assert named == expected, "\n".join(" | ".join(row) for row in expected)
    assert all(purpose for _, _, purpose, _ in found)


def test_every_dependency_has_its_purpose():
    project = PROJECT["project"]
    required = {"": project["dependencies"], **project["optional-dependencies"]}
    expected = {
        (re.match(r"[\w-]+", requirement)[0], extra)
        for extra, requirements in required.items()
        for requirement in requirements
    }
    found = rows("Dependencies")
    named = [(package.strip("`"), extra.strip("`")) for package, extra, _ in found]
    assert sorted(named) == sorted(expected)
    assert all(purpose for *_, purpose in found)
