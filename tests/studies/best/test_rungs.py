import pytest

from kerascnn.experiment.bound import bind_experiment
from kerascnn.studies.best.rungs import FINETUNED, FROZEN, SCRATCH, Rung


@pytest.fixture
def base(registry, shapes_experiment):
    return bind_experiment(shapes_experiment, registry)


def test_a_rung_keeps_the_images_and_replaces_network_size_and_stages(base):
    rung = Rung(FINETUNED, "mobilenet_v2", 96, 4, views=3, seed=2)
    made = rung.of(base, "balanced")
    assert made.dataset.params == base.dataset.params
    assert (made.architecture.name, made.training.image_size, made.seed) == ("mobilenet_v2", 96, 2)
    head, finetune = (stage.settings for stage in made.stages)
    assert (head.unfreeze, finetune.views, finetune.epochs) == ("head", 3, 4)
    assert {head.class_weights, finetune.class_weights} == {"balanced"}


def test_a_fine_tuning_is_continued_on_more_images_after_the_stages_that_were_tried(base):
    rung = Rung(FINETUNED, "mobilenet_v2", 96, 4, views=4)
    base = base.with_overrides({"training.train_on": "train+validation", "training.keep": "last"})
    *tried, more = rung.continued(3).of(base, None).stages
    assert [stage.train_on for stage in (*tried, more)] == ["train", "train", "train+validation"]
    before = [stage.settings for stage in rung.of(base, None).stages]
    assert [one.settings.model_copy(update={"train_on": None}) for one in tried] == before
    assert (more.settings.epochs, more.settings.views) == (3, 3)
    assert rung.continued(8).more_epochs == 4  # views that were not tried would have to be made
    frozen = Rung(FROZEN, "mobilenet_v2", 96, 20)
    assert frozen.continued(3) == frozen


@pytest.mark.parametrize(("kind", "trained"), [(FROZEN, ["head"]), (SCRATCH, ["all"])])
def test_the_other_kinds_have_one_stage(base, kind, trained):
    made = Rung(kind, "sequential_cnn", 16, 7).of(base, None)
    assert [stage.settings.unfreeze for stage in made.stages] == trained
    assert [stage.settings.epochs for stage in made.stages] == [7]
    assert made.architecture.params == base.architecture.params  # the base's own network


def test_a_rung_is_said_in_words():
    assert Rung(FROZEN, "a", 224, 20).what == "a at 224 px, frozen"
    assert (
        Rung(FINETUNED, "a", 224, 4, 4, 1).what == "a at 224 px, fine-tuned with 4 views, seed +1"
    )
