"""The conformance kit: one set of checks per kind of component, the built-ins' and a stranger's.

On the command line it is `kerascnn plugins check NAME`; in tests, a marker and a fixture:

    @pytest.mark.kerascnn("schedule", "sawtooth")
    def test_contract(kerascnn_check):
        kerascnn_check(teeth=3)
"""

from kerascnn.testing.checks import Check, Outcome, Subject
from kerascnn.testing.kinds import checks, find_subject, run_checks

__all__ = ["Check", "Outcome", "Subject", "checks", "find_subject", "run_checks"]
