"""Options and printing shared by the commands."""

import json
import subprocess
import sys

import pytest

PRINTING = """
import ctypes, os
import click
from kerascnn.cli.options import as_json, document

@click.command()
@as_json
def command(as_json):
    ctypes.CDLL(None).printf(b"held back in C\\n")
    os.write(1, b"by a library\\n")
    print("in Python")
    document({"is": "whole"})

command()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it prints by the C library of the process")
def test_with_json_only_the_document_goes_to_standard_output():
    command = [sys.executable, "-c", PRINTING, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"is": "whole"}
    assert set(done.stderr.splitlines()) == {"held back in C", "by a library", "in Python"}
