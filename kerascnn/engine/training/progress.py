"""How far a stage has come, and all that it takes to go on from there: gathered, and put back."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kerascnn.engine.metrics.standing import Standing
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.plan import Epoch
from kerascnn.errors import RunError
from kerascnn.runtime.keras_internals import build_metrics, seed_generator


@dataclass
class Progress:
    """How far a stage has come.

    Args:
        history: The epochs that are done.
        step: Steps done of the epoch after them.
        seconds: What these took.
        logs: Its loss and accuracy so far.
        metrics: The variables of its metrics.
        random: What `random_state` was after its last step.
        own: How the weights do that are the stage's best so far; with `keep="last"`, its last.
        handed_on: The weights that the stage would hand on now, in the order of its variables.
    """

    history: list[Epoch] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    logs: dict[str, float] = field(default_factory=dict)
    metrics: list[np.ndarray] = field(default_factory=list)
    random: State = field(default_factory=dict)
    own: Standing | None = None
    handed_on: list[np.ndarray] = field(default_factory=list)

    def end_epoch(self, epoch: Epoch) -> None:
        self.history.append(epoch)
        self.step, self.seconds, self.logs, self.metrics, self.random = 0, 0.0, {}, [], {}


def stage_state(progress: Progress, keep: str, trainer: Any, schedule: Any) -> State:
    """Gathers what changes while a stage trains, but for the network's own variables.

    Args:
        progress: How far the stage is.
        keep: "best", or "last": then the weights to hand on are yet to come.
        trainer: The model that trains.
        schedule: The callback that may change its learning rate.

    Raises:
        RunError: A number is not finite.
    """
    optimizer = values(optimizer_variables(trainer.optimizer))
    check_finite(optimizer, "the optimizer")
    return {
        **vars(progress),
        "history": [asdict(epoch) for epoch in progress.history],
        "own": progress.own and progress.own.to_state(),
        "handed_on": progress.handed_on if keep == "best" else [],
        "optimizer": optimizer,
        "schedule": {name: value for name, value in vars(schedule).items() if _plain(name, value)},
        "random": random_state(),
    }


def put_back(state: State, trainer: Any, schedule: Any) -> Progress:
    """Puts back what `stage_state` gathered: the trainer is compiled for the stage anew."""
    _build(trainer)
    assign(optimizer_variables(trainer.optimizer), state["optimizer"])
    vars(schedule).update(state["schedule"])
    set_random_state(state["random"])
    return Progress(
        history=[Epoch(**epoch) for epoch in state["history"]],
        step=state["step"],
        seconds=state["seconds"],
        logs=state["logs"],
        metrics=state["metrics"],
        random=state["random"],
        own=state["own"] and Standing.from_state(state["own"]),
        handed_on=state["handed_on"],
    )


def _build(trainer: Any) -> None:
    """Makes the metrics' variables, and leaves nothing to build to `fit`.

    It would do so with the first step, or draw from PyTorch's generator for it.
    """
    from keras import ops

    targets = ops.zeros((1, *trainer.output_shape[1:]))
    build_metrics(trainer, targets)


def optimizer_variables(optimizer: Any) -> list[Any]:
    """All of them: Nadam keeps one beside those that it lists (Keras 3.15)."""
    import keras

    inner = getattr(optimizer, "inner_optimizer", optimizer)
    listed = optimizer.variables
    known = {id(variable) for variable in listed}
    beside = [v for v in vars(inner).values() if isinstance(v, keras.Variable)]
    return listed + [variable for variable in beside if id(variable) not in known]


def network_variables(model: Any, layers: Iterable[str]) -> list[Any]:
    """The weights and statistics of the named layers, and the generators' state of all layers."""
    named = set(layers)
    weights = [v for layer in model.layers if layer.name in named for v in layer.weights]
    known = {id(variable) for variable in model.weights}
    return weights + [variable for variable in model.variables if id(variable) not in known]


def values(variables: Iterable[Any]) -> list[np.ndarray]:
    """The values of variables, on the host."""
    return [to_numpy(variable.value) for variable in variables]


def assign(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    """Gives variables their values back; raises RunError unless they fit one by one."""
    wanted = [(tuple(v.shape), str(v.dtype)) for v in variables]
    came = [(array.shape, str(array.dtype)) for array in arrays]
    if wanted != came:
        raise RunError(
            f"the checkpoint holds {len(came)} variables that are not the {len(wanted)} of this "
            "stage, in number, shape or type."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def check_finite(arrays: Iterable[np.ndarray], what: str) -> None:
    """Raises RunError where a number is NaN or infinite."""
    for array in arrays:
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise RunError(f"{what} holds numbers that are not finite.")


def sha256(arrays: Iterable[np.ndarray]) -> str:
    """Of the types, shapes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def random_state() -> State:
    """The state of the process's own generators: Python's, NumPy's, PyTorch's and Keras's.

    PyTorch's dropout draws from its own one; TensorFlow and JAX have none that Keras uses.
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


def _plain(name: str, value: Any) -> bool:
    """Whether an attribute of a callback is state that a checkpoint can hold."""
    if isinstance(value, dict):
        return (
            name != "params" and all(isinstance(k, str) for k in value) and _plains(value.values())
        )
    if isinstance(value, list | tuple):
        return _plains(value)
    return value is None or isinstance(value, bool | int | float | str | np.ndarray | np.generic)


def _plains(parts: Iterable[Any]) -> bool:
    return all(_plain("", part) for part in parts)
