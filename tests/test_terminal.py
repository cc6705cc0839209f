"""What the terminal says of a run."""

from types import SimpleNamespace

import numpy as np
import pytest

from kerascnn.terminal import verdict
from kerascnn.training.standing import Score, Standing


def standing(right):
    """So many of ten pictures are right."""
    return Standing(Score(right / 10, 1.0), np.arange(10) < right)


@pytest.mark.parametrize(
    ("own", "kept", "end"),
    [
        (9, True, "✓[/green] kept"),
        (5, True, "no difference: kept"),
        (4, True, 'worse: kept, for keep = "last"'),
        (4, False, "worse: the weights from before it are kept"),
    ],
)
def test_the_verdict_on_a_stage_says_what_is_kept_and_why(own, kept, end):
    said = verdict(SimpleNamespace(own=standing(own), kept=kept), standing(5))
    assert said.startswith(f"{(own - 5) / 10:+.3f} validation accuracy (paired 95%: ")
    assert said.endswith(end)
