"""The conformance kit in pytest: the marker `kerascnn` and the fixture `kerascnn_check`.

Every pytest run in an environment with kerascnn loads this file, so it imports the kit only when a
test uses it.
"""

import gc
from collections.abc import Callable
from typing import Any

import pytest

FIXTURE = "kerascnn_check"
KERAS_OWN_WARNING = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "kerascnn(kind, *names, only=None, image_size=None, imagenet_classifier=None): check these "
        "installed components against their contract, or only with the checks named by `only`, "
        "with the fixture kerascnn_check",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrizes a test that uses the fixture by component and check."""
    if FIXTURE not in metafunc.fixturenames:
        return
    from kerascnn.components.kinds import KINDS
    from kerascnn.testing import checks_of

    marker = metafunc.definition.get_closest_marker("kerascnn")
    if marker is None or len(marker.args) < 2 or marker.args[0] not in KINDS:
        reason = f"needs @pytest.mark.kerascnn(KIND, NAME), with KIND one of {', '.join(KINDS)}"
        pytest.fail(f"{metafunc.definition.name}: {FIXTURE} {reason}", False)
    kind, *names = marker.args
    known, options = {check.name: check for check in checks_of(kind)}, dict(marker.kwargs)
    only = options.pop("only", None) or known
    if wrong := [check for check in only if check not in known]:
        reason = f"unknown checks {wrong}: expected {', '.join(known)}"
        pytest.fail(f"{metafunc.definition.name}: {reason}", False)
    cases = [
        pytest.param(
            (kind, name, known[check], options),
            id=check if len(names) == 1 else f"{name}-{check}",
            marks=KERAS_OWN_WARNING,
        )
        for name in names
        for check in only
    ]
    metafunc.parametrize(FIXTURE, cases, indirect=True)


@pytest.fixture
def kerascnn_check(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Runs the check of this test; takes the component's parameters."""
    kind, name, check, options = request.param

    def run(**params: Any) -> None:
        from kerascnn.errors import InputError

        refused = ""
        try:
            outcome = check.run(_subject(request.config, kind, name, params, options))
        except InputError as error:
            refused = f"{error}\n{FIXTURE}(KEY=VALUE) gives the component its parameters."
        if refused:  # outside of the handler: pytest would print the errors before it as well
            pytest.fail(refused, pytrace=False)
        if outcome.status == "skipped":
            pytest.skip(outcome.detail)
        if outcome.status == "failed":
            pytest.fail(str(outcome), pytrace=False)

    return run


_LAST = pytest.StashKey[tuple[Any, Any]]()


def _subject(config: pytest.Config, kind: str, name: str, params: Any, options: Any) -> Any:
    """The subject of the check before, if it is the same: a network is not built for each."""
    from kerascnn.components.kinds import KINDS
    from kerascnn.runtime.backend import start_backend
    from kerascnn.testing import find_subject

    asked = kind, name, params, options
    before, _ = config.stash.get(_LAST, (None, None))
    if before != asked:
        config.stash[_LAST] = None, None
        if before and before[0] == "architecture":
            gc.collect()  # Keras's models are large, and cyclic references keep them alive
        subject = find_subject(kind, name, params, **options)  # before Keras, as a run does
        if KINDS[kind].needs_keras:
            start_backend()
        config.stash[_LAST] = asked, subject
    return config.stash[_LAST][1]
