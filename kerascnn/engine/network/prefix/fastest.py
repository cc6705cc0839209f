"""A frozen network, run in the fastest way that has agreed with the network itself."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.network.freezing import digest
from kerascnn.engine.network.prefix.folding import DisagreementError, check_agreement
from kerascnn.engine.network.prefix.ways import AsItIs, Run
from kerascnn.engine.network.structure import structure_of
from kerascnn.errors import InputError
from kerascnn.runtime.cache import cached, find
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.rows.store import RowStore
from kerascnn.runtime.source_code import UnknownCodeError
from kerascnn.runtime.versions import installed_versions

KIND = "activations"

OUTPUTS = "outputs of a trained network"
PIECE = 512
"""Inputs whose outputs are in memory at a time until they are stored."""

_VERDICT = "verdict.txt"  # why a way was rejected; empty if it agrees


class Fastest:
    """A network in inference mode, run in the first of several ways that agrees with it.

    A way is compared with the network itself on real images. If they disagree, DisagreementError is
    raised, and `reject` makes the next way run, in later processes too. That another engine agrees
    is remembered as well, under a hash of all that decides it: it runs only layers of Keras, all of
    whose state the hash covers.

    Args:
        model: A functional model with one input and one output.
        about: What messages and listings of the cache call it.
        found: The ways to run it, the fastest first and the model itself last; see `ways`.
        built_by: The function that built the network; its package's code decides the verdict.
        warned: Receives a warning if a way is rejected.
        sections: Where other kinds of outputs [N, ...] begin, which are compared by themselves.
    """

    def __init__(
        self,
        model: Any,
        about: str,
        found: Sequence[AsItIs],
        built_by: Callable | None = None,
        warned: Callable[[str], None] = lambda message: None,
        sections: Sequence[int] = (),
    ) -> None:
        self.model, self.about = model, about
        self.built_by, self.warned, self._sections = built_by, warned, sections
        self.way, *self.slower = found
        self._agrees = False
        while self.slower and self.key and (verdict := self._verdict) is not None:
            self._agrees = not verdict
            if self._agrees:
                break
            self.next_way(verdict)

    @property
    def engine(self) -> str:
        """What computes instead of Keras's backend, such as "OpenVINO 2026.4.1"; else ""."""
        return self.way.engine

    @cached_property
    def key(self) -> str:
        """SHA-256 of everything that determines the model's outputs, except how it runs.

        "" if that is unknown: then nothing is cached.
        """
        import keras

        try:
            structure = structure_of(self.model, self.built_by)
        except UnknownCodeError as unknown:
            self.unknown(unknown)
            return ""
        decides = (
            digest(self.model.weights),
            structure,
            device_name(),
            keras.config.backend(),
            sorted(installed_versions().items()),
        )
        return hashlib.sha256(repr(decides).encode()).hexdigest()

    @cached_property
    def forward(self) -> Run:
        return self.way.forward()

    def outputs(self, inputs: Any, digests: np.ndarray | None = None) -> np.ndarray:
        """The outputs for inputs [N, ...], indexed like an array: float32 [N, ...].

        Args:
            digests: SHA-256 of each input, uint8 [N, 32], if its outputs are to be computed once
                and found again, in later processes too.
        """
        while True:
            try:
                if digests is None or not self.key:
                    return self._outputs_of(inputs)
                return self._stored(inputs, digests)
            except DisagreementError as reason:
                self.reject(reason)

    def _stored(self, inputs: Any, digests: np.ndarray) -> np.ndarray:
        seen = f"{OUTPUTS}, {self.way.batch_size} at once"
        columns = {OUTPUTS: (np.dtype(np.float32), self.model.output_shape[1:])}
        store = RowStore(KIND, self.hashed(seen), f"{self.about}: {OUTPUTS}", columns)

        def make(claims: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, dict]]:
            yield from ((rows, {OUTPUTS: self._outputs_of(inputs[rows])}) for rows in claims)

        store.fill(digests, make, PIECE)
        return store.read(OUTPUTS, store.find(digests))

    def _outputs_of(self, inputs: Any) -> np.ndarray:
        forward, size = self.forward, self.way.batch_size
        starts = range(0, len(inputs), size)
        with ThreadPoolExecutor(self.way.calls) as threads:
            parts = list(threads.map(lambda at: forward(inputs[at : at + size]), starts))
        self.compare(inputs[:size], parts[0])
        outputs = np.concatenate(parts)
        if self.slower and not np.isfinite(outputs).all():
            raise DisagreementError("its outputs are not finite")
        return outputs

    def reject(self, reason: DisagreementError) -> None:
        """Runs in the next way from now on."""
        self._keep(str(reason))
        self.next_way(str(reason))

    def compare(self, images: np.ndarray, values: np.ndarray) -> None:
        """Compares a batch's outputs with those of the model itself, unless that has been done."""
        if self.slower and not self._agrees:
            in_16_bits, sections = self.way.rounds_to_16_bits, self._sections
            check_agreement(self.model, images, values, in_16_bits=in_16_bits, sections=sections)
            self._agrees = True
            if self.engine:
                self._keep("")

    @property
    def _verdict(self) -> str | None:
        """Why this way was rejected; "" if it agrees, None if that is not known."""

        def read(folder: Path) -> str:
            return (folder / _VERDICT).read_text("utf-8")

        with suppress(InputError):  # without a cache nothing is known
            return find(KIND, self.hashed("verdict"), read)
        return None

    def _keep(self, verdict: str) -> None:
        def write(folder: Path) -> None:
            (folder / _VERDICT).write_text(verdict, "utf-8")

        about = verdict or f"checked {self.way.changed}"
        if self.key:
            with suppress(InputError):  # of a cache that cannot be written: found out again
                cached(KIND, self.hashed("verdict"), f"{self.about}: {about}", write, lambda _: 0)

    def hashed(self, seen: str) -> str:
        return hashlib.sha256(f"{self.key} {self.way.key} {seen}".encode()).hexdigest()

    def next_way(self, reason: str) -> None:
        rejected, (self.way, *self.slower) = self.way, self.slower
        self._agrees = False
        self.__dict__.pop("forward", None)
        instead = self.way.changed or "unchanged"
        self.warned(f"{self.named} runs {instead} instead of {rejected.changed}: {reason}")

    @property
    def named(self) -> str:
        return "the network"

    def unknown(self, unknown: UnknownCodeError) -> None:
        """The code of a layer cannot be read."""
