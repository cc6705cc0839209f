"""Reproducible computation: seeds, deterministic kernels and the dtype policy."""

from kerascnn.runtime.compilation import jit_compile
from kerascnn.runtime.process import keep_backend_settings, set_variable


def make_reproducible(seed: int, precision: str = "float32") -> None:
    """Makes later computation in this process depend on the seed alone; clears Keras's session.

    Seeds Python, NumPy and the backend, turns on deterministic kernels, and sets the dtype policy,
    whatever a user's keras.json says. With XLA, TensorFlow's deterministic kernels stay off: Keras
    would skip XLA.

    Args:
        seed: At least 0.
        precision: The dtype policy, such as "float32" or "mixed_bfloat16".
    """
    import keras

    keep_backend_settings()
    keras.backend.clear_session(free_memory=False)  # a stage frees its own
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)
    if keras.config.backend() == "tensorflow" and not jit_compile():
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif keras.config.backend() == "torch":
        import torch

        set_variable("CUBLAS_WORKSPACE_CONFIG", ":4096:8", unless_set=True)
        torch.use_deterministic_algorithms(True, warn_only=True)
