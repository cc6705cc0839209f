"""Where memory is short: one sentence, with a batch size that would fit."""

from types import SimpleNamespace

import keras
import pytest
from keras import layers

from kerascnn import RunError
from kerascnn.engine.training import memory
from kerascnn.engine.training.memory import (
    device_bytes,
    explained,
    fitting_batch_size,
    memory_bytes,
    shortage,
)

PLAN = SimpleNamespace(batch_size=64, accumulation=1, stage=SimpleNamespace(name="trial"))


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(inputs)))


class ResourceExhaustedError(Exception):
    """As TensorFlow's."""


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError(),
        ResourceExhaustedError("OOM when allocating tensor"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_lack_of_memory_is_one_sentence(model, fault):
    with pytest.raises(RunError) as told, explained(model, model, PLAN, 64):
        raise fault
    assert str(told.value) == (
        'stage "trial": out of memory at batch_size = 64; an estimated 32 at once would fit: set '
        "gradient_accumulation = 2."
    )


def test_in_micro_batches_the_sentence_says_how_many_more_would_fit(model):
    plan = SimpleNamespace(**{**vars(PLAN), "accumulation": 4})
    with pytest.raises(RunError) as told, explained(model, model, plan, 16):
        raise MemoryError
    assert str(told.value) == (
        'stage "trial": out of memory at batch_size = 64, gradient_accumulation = 4 (16 images at '
        "once); an estimated 8 at once would fit: set gradient_accumulation = 8."
    )


def test_another_fault_stays_what_it_is(model):
    with pytest.raises(ValueError, match="shape"), explained(model, model, PLAN, 64):
        raise ValueError("shape")


def test_what_fits_is_what_the_estimate_says(model):
    available = memory_bytes(model, model, 10) / 0.9
    assert fitting_batch_size(model, model, 64, available) == 10
    assert fitting_batch_size(model, model, 8, available) == 4
    assert fitting_batch_size(model, model, 8, 0) == 0


def test_a_stage_that_needs_more_than_there_is_is_told_before_it_begins(model, monkeypatch):
    there = memory_bytes(model, model, 20)
    monkeypatch.setattr(memory, "device_bytes", lambda: there)
    assert shortage(model, model, 20) is None
    said = shortage(model, model, 64)
    assert said
    assert said.startswith("64 images at once may need ")
    assert said.endswith("an estimated 17 would fit")
    monkeypatch.setattr(memory, "device_bytes", lambda: None)
    assert shortage(model, model, 64) is None


def test_this_machine_has_memory(model):
    assert 2**28 < (device_bytes() or 0) < 2**50
