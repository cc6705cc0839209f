"""Layers that a library's model makes again, because their own settings do not."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascnn import classifier_head, flatten_model
from kerascnn.engine.network.boundary import single_tensors
from kerascnn.engine.network.model_part import ModelPart

IMAGES = np.random.default_rng(0).uniform(0, 1, (3, 8, 8, 3)).astype("float32")


@keras.saving.register_keras_serializable("test_model_part")
class Block(layers.Layer):
    """Its settings have an argument that it refuses, and lack one that it needs."""

    def __init__(self, width, scale, **options):
        super().__init__(**options)
        self.width, self.scale = width, scale
        self.dense = layers.Dense(width)

    def build(self, shape):
        self.dense.build(shape)
        self.offset = self.add_weight(shape=(self.width,), initializer="zeros")

    def call(self, tokens, shift, training=None):
        scaled = self.dense(tokens) * (self.scale if not training else 0.0)
        return tokens + scaled + shift + self.offset

    def get_config(self):
        return {**super().get_config(), "width": self.width, "key_dim": self.width}

    def load_own_variables(self, store):
        """Loses what training has changed, as DINOv2's loses its position embeddings."""
        self.offset.assign(ops.zeros(self.width))


@keras.saving.register_keras_serializable("test_model_part")
class Backbone(keras.Model):
    made = 0

    def __init__(self, width, depth, scale=0.5, **options):
        images = keras.Input((8, 8, 3))
        x = layers.Conv2D(width, 4, 4, name="patches")(images)
        x = layers.Reshape((4, width), name="tokens")(x)
        for number in range(depth):
            x = Block(width, scale, name=f"block{number}_mix")(x, shift=1.0)
        super().__init__(images, x, **options)
        self.settings = {"width": width, "depth": depth, "scale": scale}
        Backbone.made += 1

    def get_config(self):
        return {"name": self.name, **self.settings}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def flat(backbone):
    images = keras.Input((8, 8, 3), name="images")
    tokens = flatten_model(backbone, images)
    return keras.Model(images, classifier_head(tokens[:, 0], 2, dropout=0, zero_initialized=False))


def predicted(model, training=False):
    return ops.convert_to_numpy(model(IMAGES, training=training))


@pytest.mark.backend
def test_parts_are_saved_loaded_and_cut_between_blocks(tmp_path):
    backbone = Backbone(6, 3, scale=0.3)
    model = flat(backbone)
    tokens = ops.convert_to_numpy(
        keras.Model(model.input, model.get_layer("block2_mix").output)(IMAGES)
    )
    np.testing.assert_allclose(tokens, predicted(backbone), atol=1e-6)
    assert not {id(v) for v in model.variables} & {id(v) for v in backbone.variables}
    model.get_layer("block1_mix").called().offset.assign(ops.arange(6, dtype="float32"))
    model.save(tmp_path / "model.keras")
    made = Backbone.made
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert Backbone.made == made + 1  # one for all parts
    for training in (False, True):
        np.testing.assert_allclose(
            predicted(loaded, training), predicted(model, training), atol=1e-6
        )
    loaded.trainable = False
    cuts = [name for _, name in single_tensors(loaded)]
    assert cuts[:5] == ["patches", "tokens", "block0_mix", "block1_mix", "block2_mix"]


def test_two_networks_share_no_layer():
    backbone = Backbone(6, 2)
    one, other = flat(backbone), flat(backbone)
    assert not {id(v) for v in one.variables} & {id(v) for v in other.variables}
    part = one.get_layer("block0_mix")
    twin = ModelPart.from_config(part.get_config())
    assert twin.called() is not part.called()
    assert twin.get_config() == part.get_config()


def test_another_graph_of_the_same_layers_is_flattened_for_its_owner():
    backbone = Backbone(6, 2)
    half = keras.Model(backbone.input, backbone.get_layer("block0_mix").output)
    images = keras.Input((8, 8, 3))
    given = keras.Model(images, flatten_model(half, images, owner=backbone))
    assert isinstance(given.get_layer("block0_mix"), ModelPart)
    np.testing.assert_allclose(predicted(given), predicted(half), atol=1e-6)


def test_a_library_that_has_changed_is_noticed():
    settings = flat(Backbone(6, 2)).get_layer("block0_mix").get_config()
    with pytest.raises(TypeError, match=r"of Backbone is Block, not OldBlock: .* another version"):
        ModelPart.from_config({**settings, "layer_class": "OldBlock"})


def test_a_tensor_of_unknown_size_is_not_a_boundary():
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(images)

    class Ragged(layers.Layer):
        def call(self, inputs):
            return inputs

        def compute_output_spec(self, inputs):
            return keras.KerasTensor((None, None, 4), inputs.dtype)

    x = Ragged(name="ragged")(layers.Reshape((-1, 4), name="tokens")(x))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    model = keras.Model(images, layers.Dense(2, name="head_dense")(x))
    for layer in model.layers[:-1]:
        layer.trainable = False
    assert [name for _, name in single_tensors(model)] == ["conv", "tokens", "pool"]
