"""Choosing and loading a backend."""

import os
import subprocess
import sys

import keras
import pytest

from kerascnn import InputError
from kerascnn.runtime import backend
from kerascnn.runtime.backend import BACKENDS, select_backend


@pytest.fixture
def environment(monkeypatch):
    """Leaves the process as it was, for `select_backend` writes into it."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return monkeypatch


def test_an_unknown_backend_names_the_known_ones(environment):
    with pytest.raises(InputError, match='backend "mxnet": expected one of tensorflow, torch'):
        select_backend("mxnet")


def test_a_missing_backend_says_what_to_install_and_what_there_is(environment):
    environment.setattr(backend, "find_spec", lambda name: name == "jax" or None)
    with pytest.raises(InputError, match=r"pip install 'kerascnn\[torch\]'.* Installed: jax"):
        select_backend("torch")


def test_without_any_backend_it_says_what_to_install(environment):
    environment.setattr(backend, "find_spec", lambda name: None)
    environment.setattr(backend, "_loaded", lambda: None)
    environment.delitem(os.environ, "KERAS_BACKEND", raising=False)
    with pytest.raises(InputError, match=r"no backend is installed: .*pip install 'kerascnn\[tens"):
        select_backend()


def test_keras_on_another_backend_needs_another_process(environment):
    environment.setattr(backend, "find_spec", lambda name: True)
    loaded = keras.config.backend()
    other = next(name for name in BACKENDS if name != loaded)
    with pytest.raises(InputError, match=f"loaded on {loaded} in this process; {other} needs"):
        select_backend(other)


@pytest.mark.backend
def test_auto_stays_with_what_is_loaded(environment):
    assert select_backend() == keras.config.backend()
    assert select_backend(keras.config.backend()) == os.environ["KERAS_BACKEND"]


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


MANY_MODELS = """
import sys

from kerascnn.runtime.backend import start_backend

sys.stderr = sys.stdout
start_backend()

import keras, numpy as np

for size in range(1, 12):
    images = keras.Input((size,))
    keras.Model(images, keras.ops.square(images)).predict_on_batch(np.zeros((1, size)))
"""


@pytest.mark.long
def test_many_models_bring_no_warning_of_retracing():
    assert not in_a_new_process(MANY_MODELS)
