"""The process that a run lives in."""

import os
import random
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from kerascnn import InputError
from kerascnn.runtime import backend as runtime


@pytest.fixture
def environment(monkeypatch):
    """Leaves the process as it was, for `select_backend` writes into it."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return monkeypatch


def test_an_unknown_backend_names_the_known_ones(environment):
    with pytest.raises(InputError, match='no backend "mxnet"; there are tensorflow, torch, jax'):
        runtime.select_backend("mxnet")


def test_a_missing_backend_says_what_to_install_and_what_there_is(environment):
    environment.setattr(runtime, "find_spec", lambda name: name == "jax" or None)
    with pytest.raises(InputError, match=r"pip install 'kerascnn\[torch\]'.* Installed: jax"):
        runtime.select_backend("torch")


def test_without_any_backend_it_says_what_to_install(environment):
    environment.setattr(runtime, "find_spec", lambda name: None)
    environment.setattr(runtime, "_loaded", lambda: None)
    environment.delitem(os.environ, "KERAS_BACKEND", raising=False)
    with pytest.raises(InputError, match=r"no backend is installed: .*pip install 'kerascnn\[tens"):
        runtime.select_backend()


def test_keras_on_another_backend_needs_another_process(environment):
    environment.setattr(runtime, "find_spec", lambda name: True)
    loaded = keras.config.backend()
    other = next(name for name in runtime.BACKENDS if name != loaded)
    with pytest.raises(InputError, match=f"loaded Keras on {loaded}; {other} needs a process"):
        runtime.select_backend(other)


@pytest.mark.backend
def test_auto_stays_with_what_is_loaded(environment):
    assert runtime.select_backend() == keras.config.backend()
    assert runtime.select_backend(keras.config.backend()) == os.environ["KERAS_BACKEND"]


def in_a_new_process(code, **variables):
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"} | variables
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.backend
def test_auto_takes_what_the_environment_says_else_the_first_and_imports_nothing():
    code = (
        "import sys; from kerascnn.runtime.backend import installed_backends, "
        "select_backend as select\n"
        "print(select(), *installed_backends(), 'keras' in sys.modules)"
    )
    chosen, *installed, imported = in_a_new_process(code).split()
    assert chosen == installed[0]
    assert imported == "False"
    assert in_a_new_process(code, KERAS_BACKEND=installed[-1]).split()[0] == installed[-1]


def drawn():
    kernel = keras.layers.Dense(3)
    kernel.build((None, 4))
    on_device = ops.convert_to_numpy(keras.random.normal((3,)))
    arrays = [ops.convert_to_numpy(kernel.kernel.value), on_device, np.random.rand(3)]
    return np.concatenate([np.ravel(array) for array in (*arrays, random.random())])


@pytest.fixture
def float32_afterwards():
    yield
    keras.config.set_dtype_policy("float32")


MANY_MODELS = """
import sys

from kerascnn.runtime import backend as runtime

sys.stderr = sys.stdout
runtime.start()

import keras, numpy as np

for size in range(1, 12):
    images = keras.Input((size,))
    keras.Model(images, keras.ops.square(images)).predict_on_batch(np.zeros((1, size)))
"""


def test_many_models_bring_no_warning_of_retracing():
    assert not in_a_new_process(MANY_MODELS)


@pytest.mark.backend
def test_all_randomness_follows_from_the_seed(float32_afterwards):
    def after(seed):
        runtime.prepare(seed)
        return drawn()

    np.testing.assert_array_equal(after(3), after(3))
    assert (after(4) != after(3)).all()


@pytest.mark.backend
def test_precision_is_set_and_set_back(float32_afterwards):
    runtime.prepare(0, "mixed_bfloat16")
    assert keras.layers.Dense(1).compute_dtype == "bfloat16"
    runtime.prepare(0)
    assert keras.layers.Dense(1).compute_dtype == "float32"


@pytest.mark.backend
def test_a_compiled_function_computes_the_same():
    double = runtime.compiled(lambda batch: {"x": 2 * batch["x"]})
    made = double({"x": ops.convert_to_tensor([1.0, 2.0])})
    np.testing.assert_array_equal(ops.convert_to_numpy(made["x"]), [2, 4])


@pytest.mark.backend
def test_device_and_versions_are_told():
    assert re.fullmatch(r"CPU, (1 core|\d+ cores)|GPU .+", runtime.device_name())
    assert {"python", "keras", "numpy", keras.config.backend()} <= set(runtime.versions())


@pytest.mark.backend
def test_what_fit_is_given_holds_the_batches_and_waits_for_no_autotuner():
    batches = [(np.full((2, 3), i, "float32"), np.zeros((2,), "float32")) for i in range(3)]
    with runtime.fit_source(lambda: iter(batches), [(None, 3), (None,)]) as source:
        if keras.config.backend() == "tensorflow":
            assert source().options().autotune.enabled is False
        for _ in range(2):
            assert [float(np.asarray(inputs)[0, 0]) for inputs, _ in source()] == [0, 1, 2]
