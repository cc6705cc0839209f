"""What a call changes about the process that it works in, and puts back."""

import logging
import os
import random
from threading import Event, Thread

import keras
import numpy as np
import pytest

from kerascnn import run_experiment
from kerascnn.experiment.bound import bind_experiment
from kerascnn.runtime.process import contained, kept, put_back, set_variable
from kerascnn.tracking.store import open_store, tracking_uri

LOGGERS = ("tensorflow", "mlflow", "alembic")


def state_of_the_process():
    """Everything that a notebook would notice."""
    loggers = map(logging.getLogger, LOGGERS)
    state = {
        "environment": dict(os.environ),
        "policy": keras.config.dtype_policy().name,
        "floatx": keras.config.floatx(),
        "format": keras.config.image_data_format(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "loggers": [(logger.level, list(logger.filters)) for logger in loggers],
    }
    if keras.config.backend() == "tensorflow":
        from tensorflow.python.eager import context
        from tensorflow.python.framework import config

        state["tensorflow"] = context.global_seed(), config.is_op_determinism_enabled()
    elif keras.config.backend() == "torch":
        import torch

        state["torch"] = (
            torch.get_rng_state().tolist(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
    return state


@pytest.fixture
def own_settings(monkeypatch):
    """Settings of a user's notebook that differ from a run's; as before at the end."""
    import mlflow.keras  # noqa: F401  sets variables and loggers of its own when it is imported

    for name in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")


@pytest.mark.backend
def test_a_run_leaves_the_process_as_it_was_and_is_logged_once(
    workplace, own_settings, shapes_experiment, registry
):
    """The one training here: of all the effects on a process only a run has every one."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri())
    mlflow.keras.autolog(silent=True)
    layer_before = keras.layers.Dense(1).name
    before = state_of_the_process()
    try:
        result = run_experiment(bind_experiment(shapes_experiment, registry))
        after = state_of_the_process()
        with open_store(tracking_uri()) as client:
            found = client.search_experiments()
            runs = client.search_runs([experiment.experiment_id for experiment in found])
    finally:
        mlflow.keras.autolog(disable=True)
        mlflow.set_tracking_uri(None)
    assert after == before
    assert [run.info.run_id for run in runs] == [result.run_id]
    number = int(layer_before.partition("_")[2] or 0)
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"  # names of layers stay unique


def test_nested_calls_each_put_back_their_own(monkeypatch):
    monkeypatch.setenv("KERASCNN_TRIAL", "outside")

    @contained()
    def fail():
        set_variable("KERASCNN_TRIAL", "inner")
        set_variable("KERASCNN_NEW", "inner", unless_set=True)
        raise ZeroDivisionError

    with contained():
        set_variable("KERASCNN_TRIAL", "outer")
        with pytest.raises(ZeroDivisionError):
            fail()
        assert (os.environ["KERASCNN_TRIAL"], "KERASCNN_NEW" in os.environ) == ("outer", False)
    assert os.environ["KERASCNN_TRIAL"] == "outside"


def test_outside_of_a_call_the_process_is_the_command_lines_own(monkeypatch):
    monkeypatch.setenv("KERASCNN_TRIAL", "before")
    set_variable("KERASCNN_TRIAL", "after")
    put_back(pytest.fail)
    with contained():
        pass
    assert os.environ["KERASCNN_TRIAL"] == "after"


def test_calls_of_two_threads_wait_for_each_other():
    entered = Event()
    thread = Thread(target=contained()(entered.set))
    with contained():
        thread.start()
        assert not entered.wait(0.1)
    assert entered.wait(5)
    thread.join()


def test_what_cannot_change_in_a_block_is_asked_for_once():
    asked = []
    twice = kept(lambda number: asked.append(number) or 2 * number)
    assert [twice(1), twice(1)] == [2, 2]
    assert asked == [1, 1]  # without a block
    for _ in range(2):
        with contained():
            assert [twice(1), twice(2), twice(1)] == [2, 4, 2]
    assert asked == [1, 1, 1, 2, 1, 2]
