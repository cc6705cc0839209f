"""The code of a plugin, and what the registry finds wrong with its package."""

from kerascnn.components.registry import load_registry

IMPORTS = "from kerascnn import Component, NoParams, Params, hookimpl\n"
HOOK = f"""{IMPORTS}
@hookimpl


def kerascnn_schedules():
    return {{listed}}
"""
GOOD = HOOK.format(listed='[Component("gentle", lambda params, **context: None)]')


def faults_of(distribution):
    return [f for f in load_registry().faults if f.origin.distribution == distribution]
