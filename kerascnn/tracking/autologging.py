"""MLflow's autologging, which wraps `Model.fit` and would log a run of kerascnn a second time."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_autologging() -> Iterator[None]:
    """Switches autologging off meanwhile, if MLflow is loaded at all; it cannot be nested."""
    if "mlflow" not in sys.modules:
        yield
        return
    from mlflow.utils.autologging_utils import disable_autologging

    with disable_autologging():
        yield
