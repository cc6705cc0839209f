"""The ways to run a frozen network, the fastest first: on OpenVINO, folded, as it is."""

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np

from kerascnn.engine.network.inference import Forward, in_batches
from kerascnn.engine.network.prefix.folding import DisagreementError, fold, rounds_to_16_bits
from kerascnn.engine.network.prefix.openvino_graph import convert
from kerascnn.engine.network.prefix.openvino_rules import ConversionError
from kerascnn.runtime.compilation import BATCH_SIZE
from kerascnn.runtime.devices import available_cores, concurrent_calls, device_name
from kerascnn.runtime.openvino import openvino_core, openvino_version

REQUESTS = 2
"""Batches that OpenVINO computes at a time, each on half of the cores."""

Run = Callable[[np.ndarray], np.ndarray]  # images [B, S, S, 3] to activations float32 [B, ...]


class AsItIs:
    """Runs a network unchanged, on Keras's backend.

    Args:
        network: A functional model from images to activations, for inference mode.
        batch_size: Images to compute at once.
    """

    def __init__(self, network: Any, batch_size: int = BATCH_SIZE) -> None:
        self._network, self.batch_size = network, batch_size
        self.dtype = np.dtype(network.output.dtype)  # of the activations, so nothing is lost
        self.key = "as it is"  # identifies the way in keys of the cache
        self.engine = ""  # what computes, with its version; "": Keras's backend
        self.changed = ""  # how it differs from the network, for messages
        self.calls = concurrent_calls()  # batches to compute at a time
        self.rounds_to_16_bits = rounds_to_16_bits(network)

    def forward(self) -> Run:
        """Makes the function that runs it; threads may share it.

        Raises:
            DisagreementError: The network cannot run in this way.
        """
        return self._on_backend(self._network)

    def _on_backend(self, model: Any) -> Run:
        forward = Forward(model)
        return lambda images: forward(images, self.batch_size)


class Folded(AsItIs):
    """Runs a network with BatchNorm folded into convolutions, in another precision if given."""

    def __init__(self, network: Any, precision: str | None) -> None:
        import keras
        import ml_dtypes  # noqa: F401  makes NumPy know bfloat16

        super().__init__(network)
        self._precision = precision
        self.key = f"folded, {precision}"
        self.changed = f"in {precision}" if precision else "with BatchNorm folded"
        if precision:
            self.dtype = np.dtype(keras.DTypePolicy(precision).compute_dtype)
            self.rounds_to_16_bits |= self.dtype.itemsize == 2

    def forward(self) -> Run:
        try:
            return self._on_backend(fold(self._network, self._precision))
        except Exception as error:  # anything that copying a plugin's layer raises
            reason = f"it cannot be copied: {type(error).__name__}: {error}"
            raise DisagreementError(reason) from error


class OnOpenVINO(AsItIs):
    """Runs a float32 network on the CPU by OpenVINO, which folds BatchNorm by itself."""

    def __init__(self, network: Any, batch_size: int = BATCH_SIZE) -> None:
        super().__init__(network, batch_size)
        self.key = self.engine = f"OpenVINO {openvino_version()}"
        self.changed = f"on {self.engine}"
        self.calls = min(REQUESTS, available_cores()) if batch_size > 1 else 1

    def forward(self) -> Run:
        try:
            compiled = openvino_core().compile_model(
                convert(self._network, self.batch_size),
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 on some CPUs
                    "NUM_STREAMS": self.calls,
                    "ENABLE_CPU_PINNING": False,  # other processes may want the same cores
                },
            )
        except ConversionError as error:
            raise DisagreementError(str(error)) from error
        except Exception as error:  # of an installation that does not suit this machine
            raise DisagreementError(f"{type(error).__name__}: {error}") from error
        requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.calls):
            requests.put(compiled.create_infer_request())

        def run(batch: np.ndarray) -> np.ndarray:
            request = requests.get()
            try:
                return request.infer({0: batch}, share_inputs=True)[0]
            finally:
                requests.put(request)

        return lambda images: in_batches(run, images, self.batch_size)


def ways(network: Any, precision: str | None = None, engine: str = "auto") -> list[AsItIs]:
    """The ways to run a frozen network, the fastest first and the network itself last.

    Args:
        network: A functional model from images to activations.
        precision: A dtype policy to compute in; default the layers' own.
        engine: "openvino", "backend", or "auto": OpenVINO if it is installed, the device is a CPU
            and all is computed in float32.
    """
    found = [Folded(network, precision), AsItIs(network)]
    return [OnOpenVINO(network), *found] if _suits_openvino(network, precision, engine) else found


def ways_to_predict(network: Any, engine: str, batch_size: int) -> list[AsItIs]:
    """The ways to run a whole network: as it is, and before that on OpenVINO as `ways` has it.

    Folding is left out: it takes longer to make than to run some hundred images without it.
    """
    found = AsItIs(network, batch_size)
    if not _suits_openvino(network, None, engine):
        return [found]
    return [OnOpenVINO(network, 1 if batch_size == 1 else BATCH_SIZE), found]


def _suits_openvino(network: Any, precision: str | None, engine: str) -> bool:
    if engine != "auto":
        return engine == "openvino"
    in_float32 = precision in (None, "float32") and not rounds_to_16_bits(network)
    return bool(openvino_version()) and in_float32 and device_name().startswith("CPU")
