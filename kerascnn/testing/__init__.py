"""The conformance kit: checks for each kind of component, the same for built-ins and plugins.

On the command line it is `kerascnn plugins check NAME`; in tests, a marker and a fixture:

    @pytest.mark.kerascnn("schedule", "sawtooth")
    def test_contract(kerascnn_check):
        kerascnn_check(teeth=3)

Every pytest run with kerascnn installed imports this package, so the kit itself is loaded on first
use.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    **dict.fromkeys(("Check", "Outcome", "Subject"), "checks"),
    **dict.fromkeys(("checks_of", "find_subject", "run_checks"), "kinds"),
}
__all__ = sorted(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'kerascnn.testing' has no attribute '{name}'")
    return getattr(import_module(f"kerascnn.testing.{_PUBLIC[name]}"), name)
