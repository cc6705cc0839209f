"""Keras is imported without what few of its functions use, and these work as before."""

import subprocess
import sys

import pytest

CODE = """
import gc, sys
from kerascnn.runtime.backend import start_backend

start_backend()
import keras
import numpy as np

assert not {"sklearn", "pandas", "matplotlib"} & sys.modules.keys()
assert gc.isenabled() and gc.get_freeze_count()

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
model.compile("sgd", "mse")
inputs, labels = np.zeros((4, 3)), np.zeros((4, 2))
model.fit(inputs, labels, verbose=0)
assert "pandas" not in sys.modules

import pandas as pd

model.fit(pd.DataFrame(inputs), pd.DataFrame(labels), verbose=0)
assert isinstance(pd.Series([1.0]), keras.src.trainers.data_adapters.array_slicing.ARRAY_TYPES)
assert keras.visualization.plot_image_gallery and "matplotlib" in sys.modules
assert issubclass(keras.wrappers.SKLearnClassifier, sys.modules["sklearn"].base.BaseEstimator)
"""


@pytest.mark.long  # it imports a backend, and then the rest
@pytest.mark.backend
def test_what_keras_seldom_uses_is_imported_on_first_use():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
