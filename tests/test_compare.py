"""Which settings a comparison shows."""

from kerascnn.compare import _differing

HEAD = {"stages.0.name": "head", "stages.0.epochs": 5}
LIGHT = {"augmentation.name": "light", "augmentation.zoom": 0.1}


def test_only_what_differs():
    assert _differing([{"seed": 0, **HEAD}, {"seed": 1, **HEAD}]) == ["seed"]
    assert _differing([LIGHT, LIGHT | {"augmentation.zoom": 0.2}]) == ["augmentation.zoom"]


def test_another_component_is_shown_without_its_parameters():
    other = {"augmentation.name": "strong", "augmentation.zoom": 0.3, "augmentation.shear": 5}
    assert _differing([LIGHT, other]) == ["augmentation.name"]


def test_a_stage_that_a_run_lacks_is_shown_by_its_name():
    more = HEAD | {
        "stages.1.name": "rest",
        "stages.1.epochs": 3,
        "stages.1.schedule.name": "cosine",
    }
    assert _differing([HEAD, more]) == ["stages.1.name"]


def test_a_stage_of_another_name_is_shown_with_its_settings():
    renamed = {"stages.0.name": "top", "stages.0.epochs": 9}
    assert _differing([HEAD, renamed]) == ["stages.0.name", "stages.0.epochs"]
