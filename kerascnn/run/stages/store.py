"""The results of stages in the cache, for runs that begin with the same stages."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from kerascnn.engine.network.freezing import check_frozen, set_trainable
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.checkpoints import (
    DamagedError,
    State,
    UnreadableError,
    read_state,
    write_state,
)
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.engine.training.variables import (
    assign,
    random_state,
    set_random_state,
    sha256,
    values,
)
from kerascnn.errors import InputError, RunError
from kerascnn.run.stages.keys import stage_keys
from kerascnn.runtime.cache import cached, find, remove
from kerascnn.runtime.source_code import UnknownCodeError

KIND = "stages"


class StageStore:
    """Stores what a run's stages end with, and takes that of earlier runs, bit for bit.

    It is the weights that the stages may have changed, the state of random generators and the
    result.

    Args:
        prepared: With the network as it was built.
        warned: Receives why a result is not stored or not taken.
        run: The id of the run that stores; one that only takes has none.
        fresh: Take nothing, and replace what is stored.
    """

    def __init__(
        self,
        prepared: Prepared,
        warned: Callable[[str], None],
        *,
        run: str = "",
        fresh: bool = False,
    ) -> None:
        self._prepared, self._warned, self._run, self._fresh = prepared, warned, run, fresh
        self._keys: list[str] = []
        try:
            for key in stage_keys(prepared):
                self._keys.append(key)
        except UnknownCodeError as unknown:
            first = prepared.plans[len(self._keys)].stage.name
            warned(f"results of stages are not stored, from {first} on: {unknown}.")

    def take(self, plan: Plan, done: Sequence[StageResult]) -> StageResult | None:
        """Brings the network and the random generators to the end of a stage, if it is stored.

        None if it is not, or if a stage before it, of those that are done, was trained here.

        Raises:
            RunError: The network is not what it was when the result was stored.
        """
        start = time.perf_counter()
        led = all(result.reused_from for result in done)
        state = self._read(plan) if led and not self._fresh else None
        if state is None:
            return None
        model, variables = self._prepared.network.model, self._prepared.changed_by(plan.index + 1)
        assign(variables, state["network"])
        set_random_state(state["random"])
        set_trainable(model, plan.layers, plan.batchnorm)
        result = StageResult.from_state(state["result"])
        check_frozen(result.frozen_sha256, model, plan.stage.name)
        if sha256(values(variables)) != state["network_sha256"]:
            raise RunError(f'stage "{plan.stage.name}": its weights differ from the stored ones.')
        return replace(
            result,
            name=plan.stage.name,
            choice=plan.choice,
            seconds=time.perf_counter() - start,
            prefix_seconds=0.0,
            fit_seconds=0.0,
            cached=replace(result.cached, made=0, reused=0),
            reused_from=state["run"],
        )

    def keep(self, plan: Plan, result: StageResult) -> None:
        """Stores the result of a stage that has just been trained.

        If another process has stored it meanwhile, that one stays: it is the same.
        """
        if plan.index >= len(self._keys):
            return
        key, network = self._keys[plan.index], values(self._prepared.changed_by(plan.index + 1))
        state = {
            "run": self._run,
            "result": asdict(result),
            "network": network,
            "network_sha256": sha256(network),
            "random": random_state(),
        }
        name = plan.stage.name
        about = f"{self._prepared.experiment.name}, stage {name} of run {self._run[:8]}"
        try:
            if self._fresh:
                remove(KIND, key)
            cached(
                KIND,
                key,
                about,
                lambda folder: write_state(folder, state),
                _read_later,
                durable=False,
            )
        except (InputError, OSError, TypeError) as error:
            self._warned(f"cannot store the result of stage {name}: {error}")

    def _read(self, plan: Plan) -> State | None:
        if plan.index >= len(self._keys):
            return None
        key, name = self._keys[plan.index], plan.stage.name
        try:
            return find(KIND, key, read_state)
        except (DamagedError, UnreadableError, OSError) as fault:
            remove(KIND, key)
            self._warned(
                f"the stored result of stage {name} is damaged: {fault}. It is removed, and {name} "
                "is trained again."
            )
            return None


def _read_later(folder: Path) -> None:
    """An entry that has just been stored is not read."""
