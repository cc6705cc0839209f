"""Grad-CAM, kernels, feature maps and their parts, against what NumPy makes of the weights."""

import keras
import numpy as np
import pytest
from keras import layers

from kerascnn import InputError
from kerascnn.components.builtin.architectures import preprocess
from kerascnn.engine.network.explain.computed import convolution_parts, feature_maps, first_kernels
from kerascnn.engine.network.explain.grad_cam import grad_cam, last_spatial_layer

pytestmark = pytest.mark.backend
SIZE = 12
IMAGES = np.random.default_rng(0).integers(0, 256, (35, SIZE, SIZE, 3), np.uint8)
CLASSES = np.arange(len(IMAGES)) % 3


def give_weights(model, scale=1.0):
    """Weights that are the same on every backend."""
    rng = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights([scale * rng.normal(size=w.shape) for w in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    """Convolutions, pooling, a hidden layer, and dropout that must not drop."""
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv1")(x)
    x = layers.Dropout(0.5)(layers.Conv2D(5, 3, use_bias=False, name="conv2")(x))
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(2)(layers.ReLU(name="relu2")(x)))
    x = layers.Dense(6, activation="relu", name="head_hidden")(x)
    return give_weights(
        keras.Model(images, layers.Dense(3, activation="softmax", name="head_dense")(x))
    )


def cam_by_hand(features, weights):
    heat = np.maximum((weights[:, None, None] * features).sum(-1), 0)
    return heat / np.maximum(heat.max((1, 2), keepdims=True), 1e-30)


def maps_of(model, layer):
    return np.stack([feature_maps(model, image, [layer])[layer] for image in IMAGES])


def test_grad_cam_is_what_the_chain_rule_gives():
    """Average pooling sends each channel's gradient evenly to its pixels: CAM (1512.04150)."""
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(5, 3, name="conv", activation="relu")(layers.Rescaling(1 / 255)(images))
    x = layers.Dense(6, activation="relu", name="hidden")(layers.GlobalAveragePooling2D()(x))
    model = give_weights(keras.Model(images, layers.Dense(3, activation="softmax")(x)))

    features = maps_of(model, "conv")
    into, bias = model.get_layer("hidden").get_weights()
    out = model.layers[-1].get_weights()[0]
    alive = features.mean((1, 2)) @ into + bias > 0
    weights = (out.T[CLASSES] * alive) @ into.T

    heat = grad_cam(model, IMAGES, CLASSES)
    assert heat.dtype == np.float32
    np.testing.assert_allclose(heat, cam_by_hand(features, weights), atol=1e-4)


def test_grad_cam_is_the_same_on_every_backend(model):
    """The values are those that all three give."""
    heat = grad_cam(model, IMAGES, CLASSES)
    assert heat.shape == (35, 4, 4)
    assert last_spatial_layer(model) == "relu2"
    np.testing.assert_allclose(heat.mean((1, 2))[[0, 1, 2, 34]], EXPECTED, atol=1e-4)


EXPECTED = [0.258253, 0.167941, 0.067914, 0.172946]


def test_a_sure_answer_has_a_heat_too(model):
    """The gradient of a softmax at 1.0 is zero; that of its score is not."""
    out = model.get_layer("head_dense")
    kernel, bias = out.get_weights()
    sure = keras.Model(model.input, model.output)
    before = grad_cam(sure, IMAGES, CLASSES)
    out.set_weights([kernel * 1e4, bias])
    try:
        np.testing.assert_allclose(grad_cam(sure, IMAGES, CLASSES), before, atol=1e-4)
    finally:
        out.set_weights([kernel, bias])


@pytest.mark.parametrize("end", ["softmax layer", "activation layer", "sigmoid"])
def test_other_heads_have_a_heat(end):
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(images))
    activation = "sigmoid" if end == "sigmoid" else None
    x = layers.Dense(3, activation=activation)(layers.GlobalAveragePooling2D()(x))
    if end == "softmax layer":
        x = layers.Softmax()(x)
    elif end == "activation layer":
        x = layers.Activation("softmax")(x)
    heat = grad_cam(give_weights(keras.Model(images, x)), IMAGES, CLASSES)
    assert set(heat.max((1, 2)).round(5)) <= {0, 1}
    assert heat.max() > 0


def test_no_gradient_is_no_heat(model):
    dead = give_weights(keras.models.clone_model(model), 0)
    assert not grad_cam(dead, IMAGES, CLASSES).any()


def test_the_heat_lies_on_the_object():
    """A network that learns red from blue squares is shown where they are."""
    keras.utils.set_random_seed(0)
    images, classes, corners = squares(192)
    inputs = keras.Input((24, 24, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(x))
    x = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(images[:128], classes[:128], epochs=10, batch_size=32, verbose=0)

    heat = grad_cam(model, images[128:], classes[128:])  # [64, 12, 12]
    hits = 0
    for of_image, corner in zip(heat, corners[128:], strict=True):
        row, column = np.unravel_index(of_image.argmax(), of_image.shape)
        y, x = corner / 2
        hits += y - 1 <= row <= y + 4 and x - 1 <= column <= x + 4
    assert hits >= 60


def squares(count):
    """Grey noise with a square of 8 pixels, red or blue: images, classes, upper left corners."""
    rng = np.random.default_rng(2)
    images = np.repeat(rng.integers(60, 200, (count, 24, 24, 1)), 3, -1).astype(np.uint8)
    classes, corners = rng.integers(0, 2, count), rng.integers(0, 17, (count, 2))
    for image, of_class, (y, x) in zip(images, classes, corners, strict=True):
        image[y : y + 8, x : x + 8] = ((200, 40, 40), (40, 40, 200))[of_class]
    return images, classes, corners


def test_a_layer_is_chosen_by_name(model):
    assert grad_cam(model, IMAGES[:2], CLASSES[:2], "conv1").shape == (2, 6, 6)


def test_a_layer_inside_a_residual_block_is_refused():
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(images)
    x = layers.Add(name="block_add")([x, layers.Conv2D(4, 3, padding="same", name="inner")(x)])
    x = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    with pytest.raises(InputError, match=r'bypass "inner"; choose .* such as block_add'):
        grad_cam(keras.Model(images, x), IMAGES, CLASSES, "inner")


def test_a_layer_that_is_not_there_is_named_with_the_nearest(model):
    with pytest.raises(InputError, match=r'no layer "conv_2"\. Did you mean "conv2"'):
        feature_maps(model, IMAGES[0], ["conv_2"])
    with pytest.raises(InputError, match='"head_dense" is not feature maps'):
        grad_cam(model, IMAGES, CLASSES, "head_dense")


def test_a_network_without_maps_has_no_heat():
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Dense(3, activation="softmax")(layers.Flatten()(images))
    with pytest.raises(InputError, match=r"no layer with feature maps: .* tokens"):
        last_spatial_layer(keras.Model(images, x))


def small_vit():
    """Patches of 4 pixels, a token for the class, and two blocks that mix tokens."""
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(6, 4, 4, name="patches")(images)
    x = layers.Reshape(((SIZE // 4) ** 2, 6), name="tokens")(x)
    x = layers.ZeroPadding1D((1, 0), name="class_token")(x)
    for block in ("block1", "block2"):
        mixed = layers.MultiHeadAttention(1, 6, name=f"{block}_attention")(x, x)
        x = layers.Add(name=f"{block}_add")([x, mixed])
    x = layers.LayerNormalization(name="norm")(x)
    return give_weights(keras.Model(images, layers.Dense(3, activation="softmax")(x[:, 0])))


def test_of_a_transformer_the_patches_before_the_last_mixing_are_the_map():
    model, side = small_vit(), SIZE // 4
    assert last_spatial_layer(model) == "block1_add"  # of block2_add only the first token is used
    heat = grad_cam(model, IMAGES, CLASSES)
    assert heat.shape == (len(IMAGES), side, side)
    assert heat.any()
    tokens = keras.Model(model.input, model.get_layer("tokens").output)(IMAGES[:1])
    maps = feature_maps(model, IMAGES[0], ["class_token"])["class_token"]
    np.testing.assert_allclose(
        maps.reshape(1, -1, 6), keras.ops.convert_to_numpy(tokens), rtol=1e-5
    )


def test_feature_maps_are_what_the_layers_give(model):
    maps = feature_maps(model, IMAGES[0], ["conv1", "relu2"])
    assert {name: of_layer.shape for name, of_layer in maps.items()} == {
        "conv1": (6, 6, 4),
        "relu2": (4, 4, 5),
    }
    assert (maps["relu2"] >= 0).all()
    assert maps["conv1"].dtype == np.float32


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_the_parts_of_a_convolution_sum_up_to_its_output(model, layer):
    convolution = model.get_layer(layer)
    output = feature_maps(model, IMAGES[0], [layer])[layer]
    for filter in range(convolution.filters):
        parts = convolution_parts(model, IMAGES[0], layer, filter)
        assert parts.parts.shape == (*output.shape[:2], convolution.input.shape[-1])
        received = np.maximum(parts.output, 0) if layer == "conv1" else parts.output
        np.testing.assert_allclose(received, output[..., filter], atol=1e-4)
        assert (parts.bias == 0) == (layer == "conv2")


def test_a_part_is_one_channel_under_its_slice_of_the_filter(model):
    parts = convolution_parts(model, IMAGES[0], "conv2", 1)
    window = parts.inputs[1:4, 2:5]  # what the output at row 1, column 2 sees, [3, 3, C_in]
    np.testing.assert_allclose(parts.parts[1, 2], (window * parts.kernel).sum((0, 1)), atol=1e-4)


def test_only_a_filter_of_a_convolution_has_parts(model):
    with pytest.raises(InputError, match="filters 0 to 3, not 4"):
        convolution_parts(model, IMAGES[0], "conv1", 4)
    with pytest.raises(InputError, match='"relu2" is not a convolution'):
        convolution_parts(model, IMAGES[0], "relu2", 0)


def test_the_first_kernels_are_those_of_the_first_convolution(model):
    kernels = first_kernels(model)
    assert kernels.dtype == np.float32
    np.testing.assert_array_equal(kernels, model.get_layer("conv1").get_weights()[0])


def test_kernels_of_a_network_that_takes_bgr_are_shown_in_rgb():
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, name="conv")(preprocess(images, "caffe"))
    model = keras.Model(images, x)
    kernel = model.get_layer("conv").get_weights()[0]
    np.testing.assert_array_equal(first_kernels(model), kernel[:, :, ::-1])


def test_kernels_of_a_nested_or_depthwise_convolution_are_found():
    images = keras.Input((SIZE, SIZE, 3))
    stem = keras.Sequential([layers.DepthwiseConv2D(3, depth_multiplier=2), layers.Conv2D(4, 1)])
    model = keras.Model(images, stem(images))
    kernels, (kernel, *_) = first_kernels(model), model.get_weights()
    assert kernels.shape == (3, 3, 1, 6)
    np.testing.assert_array_equal(kernels[:, :, 0, 3], kernel[:, :, 1, 1])


def test_a_network_without_convolution_has_no_kernels():
    images = keras.Input((SIZE, SIZE, 3))
    with pytest.raises(InputError, match="no convolution"):
        first_kernels(keras.Model(images, layers.Flatten()(images)))


def shared_twice(elsewhere):
    """One convolution used twice and layers that another graph has used first, if asked."""
    images, other = keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))
    rescale, first = layers.Rescaling(1 / 255), layers.Conv2D(4, 3, padding="same", name="first")
    twice = layers.Conv2D(4, 3, padding="same", name="twice")
    top = layers.Dense(3, activation="softmax", name="head_dense")

    def network(x):
        x = twice(twice(first(rescale(x))))
        return top(layers.GlobalAveragePooling2D()(x))

    if elsewhere:
        network(other)
    return give_weights(keras.Model(images, network(images)))


def test_layers_of_another_graph_are_explained_in_this_one():
    explained = []
    for elsewhere in (False, True):
        model = shared_twice(elsewhere)
        maps = feature_maps(model, IMAGES[0], ["first", "twice"])
        parts = convolution_parts(model, IMAGES[0], "twice", 2)
        np.testing.assert_allclose(parts.output, maps["twice"][..., 2], atol=1e-4)
        heat = grad_cam(model, IMAGES[:4], CLASSES[:4])
        explained.append([heat, *maps.values(), first_kernels(model)])
    assert last_spatial_layer(model) == "twice"
    for alone, shared in zip(*explained, strict=True):
        np.testing.assert_allclose(alone, shared, atol=1e-6)
