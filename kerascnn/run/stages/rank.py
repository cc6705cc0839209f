"""One of the processes that train a run together without leading it: it writes nothing."""

import warnings
from dataclasses import dataclass, replace
from functools import partial

from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepare import prepare_experiment
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.devices.forming import join
from kerascnn.engine.training.devices.group import Group, Member, end_now
from kerascnn.engine.training.devices.on_jax import JaxProcesses, end_processes
from kerascnn.engine.training.devices.on_torch import TorchDevices, leave_group
from kerascnn.engine.training.devices.together import Together
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage import fit_stage
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.engine.training.variables import assign, random_state, set_random_state, values
from kerascnn.errors import RunError
from kerascnn.experiment.bound import BoundExperiment

END: State = {"stage": None}
"""What the leader shares after the last stage."""


@dataclass(frozen=True)
class Job:
    """What a process takes part in.

    Args:
        experiment: That of the leader.
        member: The process.
    """

    experiment: BoundExperiment
    member: Member


def stage_to_train(
    prepared: Prepared, plan: Plan, before: Standing | None, state: State | None
) -> State:
    """What the leader shares before a stage, from the state that it has itself."""
    return {
        "stage": plan.index,
        "images": _images(prepared),
        "network": values(prepared.network.model.variables),
        "random": random_state(),
        "before": before and vars(before),
        "state": state,
        "accumulation": plan.accumulation,
    }


def outcome(result: StageResult) -> State:
    """What all processes must have in common after a stage."""
    return {"frozen": result.frozen_sha256, "ended": result.ended_sha256}


def follow(experiment: BoundExperiment, group: Group) -> None:
    """Trains stages together with the leader, until it says that the last one is done.

    If that is lost, or this process fails, this process ends.
    """
    try:
        _follow(experiment, group)
    except BaseException as error:
        group.fail(error)
        end_now()


def follow_as(job: Job) -> None:
    """What a process that a leader has started does."""
    follow(job.experiment, join(job.member))


def _follow(experiment: BoundExperiment, group: Group) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the leader shows them
        prepared = prepare_experiment(experiment, Observer(), group=group)
        while (stage := group.share())["stage"] is not None:
            group.gather(outcome(_train(prepared, group, stage)))
    group.finish(leave=partial(_leave, prepared.backend))


def finish(backend: str, group: Group) -> None:
    """Lets the others end, as all stages are trained."""
    group.finish(END, partial(_leave, backend))


def _leave(backend: str) -> None:
    """Leaves the backend's own group, which all have to do at the same time."""
    if backend == "jax":
        end_processes()
    else:
        leave_group()


def _train(prepared: Prepared, group: Group, stage: State) -> StageResult:
    if stage["images"] != _images(prepared):
        raise RunError("it finds other images than the first process")
    plan = prepared.plans[stage["stage"]]
    assign(prepared.network.model.variables, stage["network"])
    set_random_state(stage["random"])
    return fit_stage(
        prepared.network,
        replace(plan, accumulation=stage["accumulation"]),
        *prepared.examples(plan),
        stage["before"] and Standing(**stage["before"]),
        state=stage["state"],
        devices=devices_of(prepared, group),
    )


def devices_of(prepared: Prepared, group: Group) -> Together:
    """What a group of processes trains on; one device takes the steps that it takes by itself."""
    if prepared.devices == 1:
        return Together(group, 1)
    if prepared.backend == "jax":
        return JaxProcesses(group, prepared.devices // group.count)
    return TorchDevices(group)


def _images(prepared: Prepared) -> list[str]:
    return [prepared.data.train.key, prepared.data.validation.key]
