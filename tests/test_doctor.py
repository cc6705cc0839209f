"""What `doctor` finds wrong."""

import pytest

from kerascnn import doctor
from kerascnn.tracking.store import RefusingStoreError, TrackingError


def test_a_locale_without_utf8_is_named(monkeypatch):
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    assert "reads file names as ascii" in next(doctor._locale())
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "utf-8")
    assert not list(doctor._locale())


@pytest.mark.parametrize(("error", "passes"), [(TrackingError, True), (RefusingStoreError, False)])
def test_a_store_that_is_away_is_told_from_one_that_never_accepts(
    error, passes, workplace, monkeypatch
):
    def fail(uri):
        raise error("no answer.")

    monkeypatch.setattr(doctor, "reach", fail)
    problems = []
    doctor._tracking(problems)
    (said,) = problems
    assert "cannot be used: no answer." in said
    assert ("This may pass" in said) == passes
