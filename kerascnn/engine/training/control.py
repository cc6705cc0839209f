"""What may pause, checkpoint or stop a stage; a `Listener` only hears of it."""

from kerascnn.engine.training.checkpoints import State


class Control:
    """Decides where a stage pauses for a checkpoint; this one never does."""

    def due(self, epoch_ended: bool) -> bool:
        """Whether to pause here: asked before each step, and with True after each epoch."""
        return False

    def checkpoint(self, state: State) -> None:
        """Receives the state to resume from; an exception raised here stops the stage."""


NO_PAUSES = Control()
