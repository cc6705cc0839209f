"""An experiment of two stages that trains in a moment, and how it ended."""

CLOCK = ("seconds", "images_per_second")


def two_stages(name, training="", head="", rest=""):
    """The experiment's TOML, with further lines in the tables of training and stages."""
    return f"""
name = "{name}"
dataset = {{ name = "shapes", train = 48 }}
augmentation = "light"
[architecture]
name = "sequential_cnn"
depth = 2
convolutions = 1
filters = 4
dense_units = []
[training]
image_size = 16
batch_size = 16
{training}
[[stages]]
name = "head"
epochs = 2
learning_rate = 1e-2
augmentation = false
{head}
[[stages]]
name = "rest"
unfreeze = "all"
epochs = 2
learning_rate = 3e-3
schedule = "cosine"
{rest}
"""


def outcome_of(stages, history, test, left_out=CLOCK):
    """Weights, optimizers, generators, history and test of a run, whose figures these are."""
    return {
        "sha256": [(stage["ended_sha256"], stage["frozen_sha256"]) for stage in stages],
        "history": [{k: v for k, v in epoch.items() if k not in left_out} for epoch in history],
        "test": test,
    }
