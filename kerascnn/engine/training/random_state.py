"""The state of the process's random generators."""

import random

import numpy as np

from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.training.checkpoints import State
from kerascnn.runtime.keras_internals import seed_generator


def random_state() -> State:
    """The state of the global generators of Python, NumPy, PyTorch and Keras.

    Dropout on PyTorch draws from PyTorch's; Keras uses none of TensorFlow or JAX.
    """
    import keras

    state = {"python": random.getstate(), "numpy": np.random.get_state(legacy=False)}
    if keras.config.backend() == "torch":
        import torch

        state["torch"] = torch.get_rng_state().numpy()
        state["cuda"] = [one.numpy() for one in torch.cuda.get_rng_state_all()]
    if generator := seed_generator():
        state["keras"] = to_numpy(generator.state.value)
    return state


def set_random_state(state: State) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(state["numpy"])
    if "torch" in state:
        import torch

        torch.set_rng_state(torch.from_numpy(state["torch"]))
        torch.cuda.set_rng_state_all([torch.from_numpy(one) for one in state["cuda"]])
    if "keras" in state:
        seed_generator(create=True).state.assign(state["keras"])
