"""Which name is suggested for one that there is not."""

import pytest

from kerascnn.errors import did_you_mean

NETWORKS = [
    *("resnet50", "resnet101", "resnet50_v2", "efficientnet_b0", "efficientnet_b1", "vgg16"),
    *("adam", "adamw", "mobilenet_v2"),
]


@pytest.mark.parametrize(
    ("name", "suggested"),
    {
        "AdamW": '"adamw"',
        "ResNet50V2": '"resnet50_v2"',
        "EfficientNet-B0": '"efficientnet_b0"',
        "resnet18": '"resnet50" or "resnet101"',
        "efficientnet_b7": '"efficientnet_b0" or "efficientnet_b1"',
        "vgg19": '"vgg16"',
        "mobilnet_v2": '"mobilenet_v2"',
    }.items(),
)
def test_the_nearest_name_is_suggested(name, suggested):
    assert did_you_mean(name, NETWORKS) == f" Did you mean {suggested}?"


def test_what_is_near_to_nothing_suggests_nothing():
    assert did_you_mean("zzz", NETWORKS) == did_you_mean("x1", []) == ""
