"""The ladder: what `best` tries, from quick to good. Each rung is an ordinary experiment."""

from dataclasses import dataclass, replace
from typing import Any

from kerascnn.experiment.bound import BoundExperiment

IMAGE_SIZE = 224
"""What most pretrained networks were trained at, which suits them best."""
LARGER_SIZE = 288
"""1.3 times: networks often do better above the size of their training (arXiv 1906.06423)."""

HEAD_EPOCHS = 20
MORE_EPOCHS = (4, 3, 2)
"""On the validation images too, after a fine-tuning without them: as many as there is time for. Two
are about as good as training anew on both, in less time (benchmarks/README.md)."""
FEWEST_MORE = min(MORE_EPOCHS)
FROZEN, FINETUNED, SCRATCH = "frozen", "finetuned", "scratch"


@dataclass(frozen=True)
class Rung:
    """One network, trained in one way.

    Args:
        kind: "frozen" trains the head alone, "finetuned" the last blocks too, "scratch" all.
        network: The name of its architecture.
        image_size: In pixels.
        epochs: Of the last stage.
        views: Of each image that the frozen prefix runs over; 0 if it runs in every step.
        seed: Added to the experiment's.
        head_epochs: Of the stage that trains the head before a network is fine-tuned.
        more_epochs: Of a stage after the fine-tuning, on the validation images too; the stages
            before it remain those that were tried.
    """

    kind: str
    network: str
    image_size: int
    epochs: int
    views: int = 1
    seed: int = 0
    head_epochs: int = HEAD_EPOCHS
    more_epochs: int = 0

    @property
    def what(self) -> str:
        """In words, such as "efficientnet_lite0 at 224 px, fine-tuned with 4 views"."""
        how = {
            FROZEN: "frozen",
            FINETUNED: f"fine-tuned with {self.views} views",
            SCRATCH: f"from scratch for {self.epochs} epochs",
        }[self.kind]
        seed = f", seed +{self.seed}" if self.seed else ""
        return f"{self.network} at {self.image_size} px, {how}{seed}"

    def continued(self, epochs: int) -> "Rung":
        """The same with a further stage on the validation images too, if it is fine-tuned."""
        more = min(epochs, self.views)
        return replace(self, more_epochs=more) if self.kind == FINETUNED else self

    def of(self, base: BoundExperiment, class_weights: str | None) -> BoundExperiment:
        """Its experiment: that of the study, with another network, size and stages."""
        stages = {
            FROZEN: [_head(self.epochs)],
            FINETUNED: self._finetuned(),
            SCRATCH: self._scratch(),
        }
        weights = {"class_weights": class_weights} if class_weights else {}
        own = base.architecture.name == self.network
        return base.with_overrides(
            {
                **({} if own else {"architecture": {"name": self.network}}),
                "training.image_size": self.image_size,
                "training.keep": "last",
                "augmentation": {"name": "standard", "mixup": 0.4},
                "seed": base.seed + self.seed,
                "stages": [{**stage, **weights} for stage in stages[self.kind]],
            }
        )

    def _finetuned(self) -> list[dict[str, Any]]:
        """The two stages of the recipe `folder`."""
        finetune = {
            "name": "finetune",
            "unfreeze": "auto",
            "views": self.views,
            "epochs": self.epochs,
            "learning_rate": 3e-4,
            "optimizer": "adamw",
            "weight_decay": 0.05,
            "ema_fraction": 0.33,
            "schedule": {"name": "cosine", "warmup_fraction": 0.2},
        }
        tried = [_head(self.head_epochs), finetune]
        if not self.more_epochs:
            return tried
        more = {**finetune, "name": "more", "views": self.more_epochs, "epochs": self.more_epochs}
        return [*({**stage, "train_on": "train"} for stage in tried), more]

    def _scratch(self) -> list[dict[str, Any]]:
        """The stage of the recipe `folder_scratch`."""
        return [
            {
                "name": "scratch",
                "unfreeze": "all",
                "epochs": self.epochs,
                "learning_rate": 1e-3,
                "optimizer": "adamw",
                "weight_decay": 0.05,
                "schedule": {"name": "cosine", "warmup_fraction": 0.1},
            }
        ]


def _head(epochs: int) -> dict[str, Any]:
    return {
        "name": "head",
        "unfreeze": "head",
        "augmentation": False,
        "epochs": epochs,
        "learning_rate": 3e-3,
        "optimizer": "adamw",
        "weight_decay": 1.0,
        "schedule": {"name": "cosine"},
    }
