"""What commands print where a terminal has few characters, or where nobody reads on."""

import io
import os
import subprocess
import sys

import pytest

from kerascnn import InputError, cli
from kerascnn.components.builtin import image_folder

COMMAND = "from kerascnn.cli import main; main()"


def printed(monkeypatch, encoding, *arguments):
    """What the command writes to both streams in that encoding, and its exit code."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setattr("sys.argv", ["kerascnn", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    err.flush()
    texts = [stream.buffer.getvalue().decode(encoding) for stream in (out, err)]
    return *texts, ended.value.code or 0


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_every_text_can_be_printed(encoding, monkeypatch, written_run):
    written_run("a" * 32, [True, False])
    written_run("b" * 32, [True, True], name="雏菊 · \udcff")
    out, err, code = printed(monkeypatch, encoding, "compare", "aaaa", "bbbb")
    assert code == 0, err
    assert "aaaaaaaa" in out
    assert ("─" in out) == (encoding == "utf-8")


def test_what_an_encoding_lacks_is_spelled_out(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), "cp1252")
    monkeypatch.setattr("sys.stdout", out)
    with cli.printing():
        sys.stdout.write("naïve · 1 → 2 ✓ 雏菊 \udcff")
    assert out.buffer.getvalue().decode("cp1252").strip() == "naïve · 1 -> 2 ok ?? ?"


# What `head` does: it closes the pipe after the first line. Both ways of printing: rich's and
# click's, of more than the pipe holds.
@pytest.mark.parametrize("arguments", [["plugins"], ["schema"], ["plugins", "--json"]])
def test_a_reader_that_has_enough_is_no_failure(arguments):
    with subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.argv[0] = 'kerascnn'; {COMMAND}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")


def test_other_broken_pipes_are_failures(monkeypatch, capfd):
    """Such as the pipe to a process that converts a model."""

    def fail(*_, **__):
        raise BrokenPipeError("a worker is gone")

    monkeypatch.setattr(cli, "cli", fail)
    monkeypatch.setattr("sys.argv", ["kerascnn", "export"])
    with open(os.devnull, "w") as read_by_somebody:
        monkeypatch.setattr("sys.stdout", read_by_somebody)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 1


def test_a_locale_that_cannot_name_a_class_is_told_as_such(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    name = "雏菊".encode().decode("ascii", "surrogateescape")
    with pytest.raises(InputError, match=r'"雏菊".* locale .* as ascii\. Set PYTHONUTF8=1'):
        image_folder._check_names(tmp_path, [name])
    with pytest.raises(InputError, match="rename the class"):
        image_folder._check_names(tmp_path, ["\udcff"])
