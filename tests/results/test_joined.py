"""The weights of runs that become one network."""

import hashlib

import pytest

from kerascnn import InputError
from kerascnn.results.joined import weights_sha256


def test_a_file_of_weights_is_read_again_only_once_it_has_changed(written_run, monkeypatch):
    result = written_run("a" * 32, [True] * 8)
    with pytest.raises(InputError, match="has no model: cannot read"):
        weights_sha256(result)
    file = result.model_file
    file.parent.mkdir(parents=True)
    file.write_bytes(b"first")
    first = weights_sha256(result)
    assert first == hashlib.sha256(b"first").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)
        assert weights_sha256(result) == first
    file.write_bytes(b"and another")
    assert weights_sha256(result) == hashlib.sha256(b"and another").hexdigest()
