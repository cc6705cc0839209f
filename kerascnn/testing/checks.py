"""A check, its subject and its outcome; random images to check on."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar, Literal, Self

import numpy as np

from kerascnn import hookspecs
from kerascnn.components.component import BoundComponent, RegisteredComponent
from kerascnn.components.kinds import KINDS
from kerascnn.components.registry import load_registry
from kerascnn.errors import InputError, KerascnnError, PluginError
from kerascnn.experiment.problems import bind_alone, check_alone
from kerascnn.experiment.training import Training
from kerascnn.runtime.process import contained, keep_backend_settings
from kerascnn.runtime.tracebacks import described


class CheckError(Exception):
    """A check failed; the text says what was found."""


class SkipError(Exception):
    """A check does not apply to this component; the text says why."""


@dataclass(eq=False, repr=False)
class Subject(ABC):
    """A component with its parameters, to be checked.

    Args:
        bound: The component.
        given: Its parameters, as in the TOML.
        image_size: Height and width S in pixels to build an augmentation or architecture for;
            default the kit's.
        imagenet_classifier: For a pretrained architecture, a function that returns the kernel
            [C, 1000] and the bias [1000] of the ImageNet classifier that the component omits.
    """

    kind: ClassVar[str]
    bound: BoundComponent
    given: dict[str, Any]
    image_size: int | None = None
    imagenet_classifier: Callable[[], tuple[Any, Any]] | None = None

    def __reduce__(self) -> Any:
        """Another process finds the component by name, because builders may not be picklable."""
        find = partial(type(self).find, image_size=self.image_size)
        return find, (self.bound.name, self.given)

    @classmethod
    def find(cls, name: str, params: Mapping[str, Any], **options: Any) -> Self:
        """Finds an installed component of this kind and validates its parameters.

        Raises:
            InputError: There is no such component, its parameters are invalid, or its own `check`
                refuses them.
        """
        bound = bind_alone(load_registry().get(cls.kind, name), params)
        check_alone(bound, options.get("image_size") or Training().image_size)
        return cls(bound, dict(params), **options)

    def with_params(self, **params: Any) -> Self:
        return self.find(self.bound.name, self.given | params, image_size=self.image_size)

    @cached_property
    def made(self) -> Any:
        """What the component builds, held to its type."""
        return self.make()

    @abstractmethod
    def make(self) -> Any:
        """Builds anew; raises CheckError where something else than the contract says is built."""


@dataclass(frozen=True)
class Check:
    """One rule of a kind's contract, and the function that holds a component to it.

    Args:
        contract: Where the contract states the rule.
        function: Returns a figure for the report or None; raises CheckError or SkipError.
    """

    name: str
    rule: str
    contract: str
    function: Callable[[Any], str | None] = field(repr=False)

    def run(self, subject: Subject) -> "Outcome":
        """Runs the check; any exception of the component is a failure.

        Raises:
            InputError: The component rejects its parameters, or something it needs is missing.
        """
        start = time.perf_counter()
        with contained():  # a check seeds what it computes with
            if "keras" in sys.modules:
                keep_backend_settings()
            status, detail = self._judge(subject)
        return Outcome(self, status, detail, time.perf_counter() - start)

    def _judge(self, subject: Subject) -> "tuple[Status, str]":
        try:
            _ = subject.made
        except Exception as error:
            if isinstance(error, InputError) and not isinstance(error, PluginError):
                raise
            if self.name != BUILDS:
                return "skipped", f"nothing was built: see {BUILDS}"
            return "failed", explain(error, subject.bound.registered)
        try:
            return "passed", self.function(subject) or ""
        except SkipError as reason:
            return "skipped", str(reason)
        except Exception as error:
            return "failed", explain(error, subject.bound.registered)


Status = Literal["passed", "failed", "skipped"]
DARK = 26  # a tenth of white
EVEN = 8  # the difference between the darkest and the brightest percent
BUILDS = "builds"  # every kind's first check


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check.

    Args:
        detail: A figure for the report, what was found instead, or why the check does not apply.
    """

    check: Check
    status: Status
    detail: str
    seconds: float

    def __str__(self) -> str:
        """The failure, with rule and contract."""
        return (
            f"{self.check.name}\n"
            f"  expected  {self.check.rule}\n"
            f"  found     {self.detail}\n"
            f"  contract  {self.check.contract}"
        )


def check(contract: Any) -> Callable[[Callable[[Any], str | None]], Check]:
    """Turns a function into a check, with its docstring as the rule.

    Args:
        contract: The hook or class of `kerascnn.hookspecs` that has the rule.
    """

    def decorate(function: Callable[[Any], str | None]) -> Check:
        rule = " ".join((function.__doc__ or "").split())
        name = contract.__name__
        of_hook = {kind.hook: kind.name.title() for kind in KINDS.values()}
        title = of_hook.get(name, name)
        where = f'docs/plugins.md, "{title}"; {hookspecs.__name__}.{name}'
        return Check(function.__name__, rule, where, function)

    return decorate


def explain(error: Exception, registered: RegisteredComponent | None = None) -> str:
    """The text of a failure; for an exception of the component also its file and line."""
    if not isinstance(error, CheckError | KerascnnError):
        return described(error, registered.package if registered else "")
    return str(error).removesuffix(f" {registered.examines}" if registered else "")


def blank(pixels: np.ndarray) -> bool:
    """Whether an image [H, W, 3] in 0-255 is nearly black, or nearly of one colour."""
    low, high = np.percentile(pixels, (1, 99), axis=(0, 1))  # of each channel
    return bool(high.max() < DARK or (high - low).max() < EVEN)


def random_images(count: int, size: int, labels: np.ndarray | None = None) -> np.ndarray:
    """Smooth random images, uint8 [N, S, S, 3]; with labels int [N], in the hue of their class."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (count, 4, 4, 3))
    if labels is not None:
        hues = rng.uniform(0, 255, (labels.max() + 1, 3))
        coarse = (coarse + 2 * hues[labels][:, None, None]) / 3
    rows = np.minimum(np.arange(size) * 4 // size, 3)
    images = coarse[:, rows][:, :, rows] + rng.normal(0, 8, (count, size, size, 3))
    return np.clip(images, 0, 255).astype(np.uint8)
