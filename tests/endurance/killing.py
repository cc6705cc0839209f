"""Runs of `kerascnn run` that are killed: each a fork of one process that has imported everything.

Nothing of a backend has run before the fork, so a fork is as good as a new process, and takes a
tenth of the time. A fault is a table: `{"at": 7}` kills at the seventh step that a checkpoint or a
stored stage takes on the disk, `{"append": 7}` at the seventh that rows take into the cache,
`{"phase": "validation", "number": 2, "share": 0.4}` in the midst of a phase, `{"seconds": 3.1}`
whenever that is. Each folder has a cache of its own: the stages of another run would be taken
instead of trained.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PHASES = {
    "checkpoint": ("kerascnn.engine.training.checkpoints", "write_state"),
    "stage": ("kerascnn.engine.training.shared", "compile_trainer"),
    "validation": ("kerascnn.engine.training.epochs", "validate"),
}


class Killing:
    """The process that forks runs; `run` waits for one of them."""

    def __init__(self, backend):
        self._process = subprocess.Popen(
            [sys.executable, __file__, backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder, *arguments, fault=None):
        """Returns the exit status, negative where a signal ended it, and what was said."""
        job = {"folder": str(folder), "arguments": list(map(str, arguments)), "fault": fault or {}}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return status, Path(folder, "said.txt").read_text()

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def serve(backend):
    os.environ.update(KERAS_BACKEND=backend, TF_CPP_MIN_LOG_LEVEL="3")
    import keras  # noqa: F401
    import mlflow  # noqa: F401

    import kerascnn.run.runner

    kerascnn.run.runner.draw_report = lambda *_: None  # decides nothing, and takes the most time
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if not child:
            run(job)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(wait(child, job['fault']))}\n")
        sys.stdout.flush()


def wait(child, fault):
    if "seconds" in fault:
        end = time.monotonic() + fault["seconds"]
        while time.monotonic() < end:
            if (done := os.waitpid(child, os.WNOHANG))[0]:
                return done[1]
            time.sleep(0.01)
        os.kill(child, fault.get("signal", signal.SIGKILL))
    return os.waitpid(child, 0)[1]


def run(job):
    from kerascnn import cli

    os.chdir(job["folder"])
    os.environ["KERASCNN_CACHE"] = str(Path("cache").absolute())
    said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.argv = ["kerascnn", *job["arguments"]]
    fault = job["fault"]
    if "at" in fault:
        kill_at_disk(fault["at"])
    if "append" in fault:
        kill_at_append(fault["append"])
    if "phase" in fault:
        kill_in_phase(*PHASES[fault["phase"]], fault["number"], fault["share"])
    try:
        cli.main()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code or 0)
    finally:
        os._exit(70)


STORED = {"checkpoints", "stages"}  # folders


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_disk(at):
    """Dies at the at-th write, fsync or rename of a checkpoint or a stored stage, if there are."""
    import numpy as np

    from kerascnn.engine.training import checkpoints
    from kerascnn.runtime import files

    left = at

    def step(*_):
        nonlocal left
        left -= 1
        if not left:
            die()

    def stepping(function, half=None):
        def wrapped(*arguments, **named):
            if left == 1 and half:
                half(*arguments, **named)
            step()
            return function(*arguments, **named)

        return wrapped

    def half_text(path, text, *_):
        with open(path, "w") as file:
            file.write(text[: len(text) // 2])

    def half_arrays(file, **arrays):
        savez(file, **dict(list(arrays.items())[: len(arrays) // 2]))
        file.flush()

    def within(folder, function, wrapped):
        def chosen(*arguments, **named):
            inside = STORED & {*Path(arguments[0]).parts}
            return (wrapped if inside else function)(*arguments, **named)

        return chosen

    savez = np.savez
    checkpoints.np.savez = stepping(savez, half_arrays)
    Path.write_text = within("", Path.write_text, stepping(Path.write_text, half_text))
    files.sync = stepping(files.sync)
    os.rename = within("", os.rename, stepping(os.rename))
    write = checkpoints.Checkpoints.write

    def then(self, state):
        write(self, state)
        step()  # after all of it

    checkpoints.Checkpoints.write = then


def kill_at_append(at):
    """Dies at the at-th write or sync of rows in the cache, in the midst of a write."""
    from kerascnn.runtime.rows.file import RowFile

    write, sync, left = RowFile.write, RowFile.sync, at

    def writing(file, row, values):
        nonlocal left
        left -= 1
        if not left:
            write(file, row, values[: len(values) // 2])
            die()
        write(file, row, values)

    def syncing(file):
        nonlocal left
        left -= 1
        if not left:
            die()
        sync(file)

    RowFile.write, RowFile.sync = writing, syncing


def kill_in_phase(module, name, number, share):
    """Dies in the number-th call of a function, when a share of the time of such a call is over.

    That of the first call is taken for it.
    """
    home = sys.modules[module]
    function = getattr(home, name)
    calls, seconds = 0, 0.2

    def wrapped(*arguments, **named):
        nonlocal calls, seconds
        calls += 1
        if calls == number:
            timer = threading.Timer(share * seconds, die)
            timer.daemon = True
            timer.start()
        start = time.monotonic()
        try:
            return function(*arguments, **named)
        finally:
            seconds = time.monotonic() - start

    setattr(home, name, wrapped)


if __name__ == "__main__":
    serve(sys.argv[1])
