"""What a user relies on in `sequential_cnn`."""

import pytest

from kerascnn import InputError
from kerascnn.components.builtin.sequential import SequentialParams, build


def test_filters_double_after_each_pool_and_names_tell_the_blocks() -> None:
    model = build(SequentialParams(depth=3, filters=4), image_size=16, num_classes=5)
    filters = {f"block{b}_conv{c}": 4 * 2 ** (b - 1) for b in (1, 2, 3) for c in (1, 2)}
    assert {name: model.get_layer(name).filters for name in filters} == filters
    assert model.get_layer("block3_pool").output.shape == (None, 2, 2, 16)
    assert {layer.name.split("_")[0] for layer in model.layers if layer.weights} == {
        *("block1", "block2", "block3", "head")
    }


def test_every_parameter_reaches_the_network() -> None:
    params = SequentialParams(
        depth=1,
        convolutions=3,
        filters=4,
        kernel_size=5,
        stride=2,
        padding="valid",
        pooling="average",
        batch_normalization=False,
        dense_units=(9, 7),
        dropout=0.4,
    )
    model = build(params, image_size=64, num_classes=3)
    assert [layer.name for layer in model.layers if layer.weights] == [
        *("block1_conv1", "block1_conv2", "block1_conv3"),
        *("head_dense1", "head_dense2", "head_dense"),
    ]
    assert model.get_layer("block1_conv1").output.shape[1:] == (30, 30, 4)
    assert model.get_layer("block1_pool").output.shape[1:] == (11, 11, 4)
    assert type(model.get_layer("block1_pool")).__name__ == "AveragePooling2D"
    assert [model.get_layer(f"head_dense{n}").units for n in (1, 2)] == [9, 7]
    assert [model.get_layer(f"head_dropout{n}").rate for n in (1, 2, "")] == [0.4] * 3
    assert (
        build(SequentialParams(dense_units=()), image_size=16, num_classes=3).output.shape[1] == 3
    )


@pytest.mark.parametrize(
    "params",
    [
        SequentialParams(depth=5, filters=2),
        SequentialParams(depth=2, filters=2, padding="valid", kernel_size=7),
        SequentialParams(depth=3, filters=2, stride=3),
    ],
)
def test_an_image_too_small_is_one_message_and_the_size_it_names_works(
    params: SequentialParams,
) -> None:
    with pytest.raises(InputError, match=r"Set training.image_size to \d+ or more") as caught:
        build(params, image_size=3, num_classes=2)
    enough = int(str(caught.value).split("image_size to ")[1].split()[0])
    assert build(params, image_size=enough, num_classes=2).output.shape == (None, 2)
    with pytest.raises(InputError, match=f"image_size = {enough - 1} is too small"):
        build(params, image_size=enough - 1, num_classes=2)
