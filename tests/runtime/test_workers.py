"""Other Python processes that compute for this one."""

import signal
import subprocess
import sys

import pytest

from kerascnn.runtime.workers import worker_processes

UNGUARDED = """
import os
from kerascnn.runtime.workers import backend_process

print("started")
with backend_process(None, silent={silent}, variables={{"KERASCNN_TRIAL": "here"}}) as process:
    process.submit(print, "noise").result()
    print(process.submit(os.getenv, "KERASCNN_TRIAL").result(), os.getenv("KERASCNN_TRIAL"))
"""


@pytest.mark.parametrize("silent", [False, True])
def test_a_process_runs_no_unguarded_script_again_and_keeps_off_standard_output(tmp_path, silent):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED.format(silent=silent))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["started", "here", "None"], done.stderr
    assert ("noise" in done.stderr) is not silent


def test_ctrl_c_leaves_the_worker_processes_at_work():
    """A run that is interrupted finishes its step, whose images they may be augmenting."""
    for number in (signal.SIGINT, signal.SIGTERM):
        worker_processes().submit(signal.raise_signal, number).result()
    assert worker_processes().submit(len, "abc").result() == 3
