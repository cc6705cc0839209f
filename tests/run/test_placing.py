"""An engine is found by its name, held to its contract, and closed however its block ends."""

import pytest
from pydantic import Field

from kerascnn import Component, Engine, InputError, Params, PluginError
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.run.placing import bind_engine, opened


class QueueParams(Params):
    queue: str = Field(description="Name of a queue.")


class Queue:
    """An engine that starts nothing."""

    def __init__(self, places=2):
        self.places, self.closed = places, 0

    def close(self):
        self.closed += 1

    def start(self, place):
        raise ZeroDivisionError("no")

    @property
    def bound(self):
        def build(params, *, processes):
            return Engine(self.start, self.places, close=self.close)

        component = Component("queue", build)
        return RegisteredComponent(component, "engine", Origin("x", "of-x", "1.0")).bind({})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("locl", 'unknown engine "locl". Did you mean "local"?'),
        ({"gpus": 1}, "engine = {'gpus': 1}: expected a name, or a table with a name."),
        ({"name": "local", "gpus": 1}, "engine.gpus = 1: unknown key"),
        ("queue", "engine.queue: required, but missing. Give it with --engine-set queue=VALUE."),
    ],
)
def test_a_bad_engine_is_one_message(monkeypatch, registry, asked, message):
    component = Component("queue", lambda params, *, processes: None, QueueParams)
    queue = RegisteredComponent(component, "engine", Origin("x", "of-x", "1.0"))
    monkeypatch.setitem(registry.claims, ("engine", "queue"), [queue])
    monkeypatch.setattr("kerascnn.run.placing.load_registry", lambda: registry)
    with pytest.raises(InputError) as error:
        bind_engine(asked)
    assert str(error.value).startswith(message)


def test_one_of_a_package_is_named_with_it(monkeypatch, registry):
    monkeypatch.setattr("kerascnn.run.placing.load_registry", lambda: registry)
    with pytest.raises(InputError, match="The package kerascnn-ray has it"):
        bind_engine("ray")


def test_it_is_closed_however_its_block_ends():
    queue = Queue()
    with opened(queue.bound, 2) as engine:
        assert engine.places == 2
    assert queue.closed == 1
    with pytest.raises(KeyboardInterrupt), opened(queue.bound):
        raise KeyboardInterrupt
    assert queue.closed == 2


def test_the_faults_of_an_engine_name_its_package():
    said = r'^engine "queue" of of-x 1\.0'
    with pytest.raises(PluginError, match=f"{said}: it has 0 places for processes"):
        opened(Queue(places=0).bound).__enter__()
    failing = pytest.raises(PluginError, match=rf"{said} failed in start\(place\): ZeroDivision")
    with failing, opened(Queue().bound) as engine:
        engine.start(0)
