"""What the folder of a sweep has, beside its plan and its result."""

from pathlib import Path

from kerascnn.tracking.journal import TRIALS

DATABASE = "sweep.db"
WINNER = "winner.toml"


def trial_folder(sweep: Path, number: int, seed: int) -> Path:
    """The folder of a trial's seed, in that of its sweep."""
    return sweep / TRIALS / f"{number}-{seed}"
