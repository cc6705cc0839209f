"""The engine `my_component`: processes of low priority on this host."""

from pydantic import Field

from kerascnn import BackgroundProcess, Component, Engine, Params, hookimpl


class NiceParams(Params):
    """Its parameters; `plugins show` lists their descriptions and bounds."""

    niceness: int = Field(10, ge=0, le=19, description="How much they yield to other processes.")


def build(params, *, processes):
    """Places as many processes as are asked for, by default one."""

    def start(place):
        return BackgroundProcess(launcher=["nice", "-n", str(params.niceness)])

    return Engine(start, processes or 1)


@hookimpl
def kerascnn_engines():
    return [Component("my_component", build, NiceParams, "processes of low priority")]
