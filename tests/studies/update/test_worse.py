"""Whether an update is worse than the run that it updates."""

from dataclasses import replace

import numpy as np
import pytest

from kerascnn.studies.update.worse import not_registered, worse


def side(before, after, p_value=1.0):
    difference = after - before
    return {
        "images": 100,
        "before": before,
        "after": after,
        "difference": difference,
        "interval": (difference, difference),
        "p_value": p_value,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"worse": ["rose"]}, "surely worse at rose"),
        ({"old_tests": side(0.9, 0.8, 0.01)}, "on 100 old test images its accuracy is 0.800"),
        ({"new_tests": side(0.9, 0.8, 0.01)}, "on 100 new test images"),
        ({"old_tests": side(0.9, 0.8, 0.2)}, ""),
        ({"all_tests": side(0.9, 0.89)}, "on all 100 test images its accuracy is 0.890"),
        ({"old_tests": None, "new_tests": None}, ""),
    ],
)
def test_it_is_worse_if_a_part_surely_is_or_all_test_images_are(written_run, changes, said):
    same = side(0.9, 0.9)
    table = {"worse": [], "old_tests": same, "new_tests": same, "all_tests": same, **changes}
    why = worse(replace(written_run("aaaaaaaa", np.ones(4, bool)), update=table))
    assert (said in why) if said else not why


def test_the_message_has_the_command_that_registers_it_anyway(written_run):
    result = written_run("aaaaaaaa", np.ones(4, bool))
    said = not_registered(result, "it is worse", "flowers", "champion")
    assert said.endswith(
        "`kerascnn register aaaaaaaa --name flowers --alias champion` registers it anyway."
    )
