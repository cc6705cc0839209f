"""The kinds of component: one table that hooks, schema, commands, templates and tests read."""

from dataclasses import dataclass
from pkgutil import resolve_name


@dataclass(frozen=True)
class Kind:
    """A kind of component.

    Args:
        name: What messages and the command line call it.
        arguments: What `build` receives by keyword, after the parameters.
        returns: The types of which `build` returns one; imported only when they are needed.
        of_experiment: The experiment has a table of this kind.
        of_stage: A stage has one; where the experiment has one too, the stage's replaces it.
        listed: The experiment has an array of them.
        command: The command that names one as its last word, where no experiment does.
        option: Its option for a parameter of the component.
        keys: Those of a table in the TOML that no parameter of a component may have.
    """

    name: str
    arguments: tuple[str, ...]
    returns: tuple[str, ...]
    of_experiment: bool = True
    of_stage: bool = False
    listed: bool = False
    command: tuple[str, ...] = ()
    option: str = "--set"
    keys: tuple[str, ...] = ("name",)

    @property
    def plural(self) -> str:
        return f"{self.name}es" if self.name.endswith("s") else f"{self.name}s"

    @property
    def hook(self) -> str:
        """The function by which a plugin offers its components."""
        return f"kerascnn_{self.plural}"

    @property
    def call(self) -> str:
        """How `build` is called, such as `build(params, *, seed)`."""
        arguments = ["params", *(["*"] if self.arguments else []), *self.arguments]
        return f"build({', '.join(arguments)})"

    @property
    def in_toml(self) -> bool:
        """Whether an experiment names its components, rather than a command."""
        return not self.command

    @property
    def needs_keras(self) -> bool:
        """Whether its components are built with Keras."""
        return any(name.startswith("keras.") for name in self.returns)

    def types(self) -> tuple[type, ...]:
        """The types that `returns` names; imports Keras for those that are Keras's."""
        return tuple(map(resolve_name, self.returns))


KINDS = {
    kind.name: kind
    for kind in (
        Kind("dataset", ("seed",), ("kerascnn.Splits",), keys=("name", "corrections")),
        Kind(
            "augmentation",
            ("image_size", "num_classes"),
            ("kerascnn.Augmentation", "kerascnn.HostAugmentation", "keras.layers.Layer"),
            of_stage=True,
        ),
        Kind("architecture", ("image_size", "num_classes"), ("kerascnn.Network", "keras.Model")),
        Kind(
            "schedule",
            ("peak_learning_rate", "steps", "steps_per_epoch"),
            ("keras.optimizers.schedules.LearningRateSchedule", "keras.callbacks.Callback"),
            of_experiment=False,
            of_stage=True,
        ),
        Kind(
            "loss",
            ("num_classes", "class_counts"),
            ("keras.losses.Loss",),
            of_experiment=False,
            of_stage=True,
        ),
        Kind("metric", ("class_names",), ("kerascnn.Metric",), of_experiment=False, listed=True),
        Kind("observer", (), ("kerascnn.Observer",), of_experiment=False, listed=True),
        Kind(
            "exporter",
            (),
            ("kerascnn.Exporter",),
            of_experiment=False,
            command=("export", "last", "--format"),
        ),
        Kind(
            "engine",
            ("processes",),
            ("kerascnn.Engine", "kerascnn.Launched"),
            of_experiment=False,
            command=("sweep", "FILE", "--try", "KEY=VALUE,VALUE", "--engine"),
            option="--engine-set",
        ),
    )
}
HOOKS = tuple(kind.hook for kind in KINDS.values())
