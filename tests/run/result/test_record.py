"""What a run logs of the weights that it ends with."""

from types import SimpleNamespace

import pytest

from kerascnn.engine.training.listener import Epoch
from kerascnn.run.result.record import record_kept
from kerascnn.tracking.log import Log


class Logged(Log):
    def __init__(self):
        super().__init__()
        self.entries = []

    def _add(self, kind, **content):
        self.entries.append((kind, content))


def stage(best_epoch, *accuracies, kept=True):
    history = [Epoch(n, {"train_loss": 1.0, "val_accuracy": of}) for n, of in enumerate(accuracies)]
    return SimpleNamespace(
        history=history, best_epoch=best_epoch, epochs=len(accuracies), kept=kept
    )


@pytest.mark.parametrize(
    ("done", "logged"),
    [
        ([stage(2, 0.5, 0.6)], None),  # the table has it already
        ([stage(1, 0.6, 0.5)], (0.6, 3)),
        ([stage(1, 0.6, 0.5), stage(1, 0.8, 0.7, 0.7)], (0.8, 6)),
        ([stage(1, 0.6, 0.5), stage(2, 0.3, 0.4, kept=False)], (0.6, 5)),
        ([stage(1, 0.3, kept=False)], None),  # nothing was before it
    ],
)
def test_the_last_step_has_the_metrics_of_the_weights_that_are_kept(done, logged):
    log = Logged()
    record_kept(log, done)
    record_kept(log, done)  # as if resumed after the last stage
    values = (
        [("metrics", {"values": {"val_accuracy": logged[0]}, "step": logged[1]})] if logged else []
    )
    assert log.entries == values
