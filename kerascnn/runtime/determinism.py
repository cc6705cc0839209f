"""Reproducible computation: seeds, deterministic kernels and the dtype policy."""

from kerascnn.runtime.compilation import jit_compile
from kerascnn.runtime.process import keep_backend_settings, set_variable


def make_reproducible(seed: int, precision: str = "float32") -> None:
    """Makes what follows in this process depend on the seed alone, and forgets earlier models.

    Seeds Python, NumPy and the backend, asks TensorFlow and PyTorch for deterministic kernels, and
    sets the dtype policy; a user's keras.json decides nothing. Where TensorFlow goes through XLA it
    is not asked, for Keras then leaves XLA out.
    """
    import keras

    keep_backend_settings()
    keras.backend.clear_session()
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
