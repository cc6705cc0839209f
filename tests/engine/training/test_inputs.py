"""What a stage computes of its frozen part: once, again only where something has changed."""

import importlib
import sys
import threading

import keras
import numpy as np
import pytest
from digests import digests_of
from keras import layers, ops

from kerascnn import Augmentation, HostAugmentation, Mixing, PluginError, RunError, classifier_head
from kerascnn.engine.data.batches.augment import augmenter
from kerascnn.engine.data.batches.by_image import generators
from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.prefix import stored
from kerascnn.engine.training.inputs import make_inputs
from kerascnn.engine.training.listener import Listener
from kerascnn.engine.training.plan import Plan
from kerascnn.experiment.model import Stage
from kerascnn.runtime.cache import clear, entries
from kerascnn.runtime.openvino import openvino_version
from kerascnn.runtime.rows import filling

pytestmark = pytest.mark.backend
SIZE, CLASSES = 8, 3
IMAGES = np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE, 3), np.uint8)
LABELS = np.arange(40) % CLASSES
DIGESTS = digests_of(IMAGES)
TRAIN = Examples(IMAGES[:30], LABELS[:30], DIGESTS[:30])
VALIDATION = Examples(IMAGES[30:], LABELS[30:], DIGESTS[30:])


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))


def model(size=SIZE, bias=0.0):
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    images = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 255, name="rescale")(images)
    x = layers.Conv2D(2, 3, name="narrow")(x)
    x = layers.Conv2D(16, 3, name="wide")(layers.Dropout(0.5, name="drop")(x))
    network = keras.Model(images, classifier_head(x, CLASSES, dropout=0.0))
    for layer in network.layers:
        layer.trainable = layer.name.startswith("head")
    network.get_layer("narrow").bias.assign(np.full(2, bias))
    return network


def shifting(amount=1.0, view_seed=0, seed=(0, 0), mix=None):
    """The options of a plan whose views are brighter by a random amount."""

    def draw(rng, batch_size):
        return {"shift": amount * rng.uniform(1, 2, (batch_size, 1, 1, 1))}

    def apply(batch, arrays):
        return {**batch, "images": batch["images"] + arrays["shift"]}

    policy = Augmentation(draw, apply, mix)
    augment = augmenter(policy, seed, SIZE, view_seed=view_seed)
    return {"augment": augment, "views_key": f"by {amount}", "view_seed": view_seed}


def inputs_of(
    network=None,
    train=TRAIN,
    validation=VALIDATION,
    views=None,
    epochs=9,
    warned=None,
    progress=lambda done, total: None,
    **options,
):
    stage = Stage(name="trial", epochs=epochs, learning_rate=0.1, views=views)
    plan = {"index": 0, "batchnorm": "frozen", "batch_size": 8, "schedule": None}
    plan |= {"prefix_engine": "backend"} | options
    plan |= {"architecture": "net", "augmentation": "shifting"}
    plan = Plan(stage=stage, layers=frozenset(), **plan)
    parts = cut(network if network is not None else model())
    said = [] if warned is None else warned
    inputs = make_inputs(
        parts, plan, train, validation, Listener(prefix=progress, warned=said.append)
    )
    assert warned is not None or not said
    return inputs


def counts(*arguments, **options):
    cached = inputs_of(*arguments, **options).cached
    return cached.made, cached.reused


def one_changed(examples):
    images = examples.inputs.copy()
    images[3, 0, 0, 0] += 1
    return Examples(images, examples.labels, digests_of(images))


def chosen(rows):
    return Examples(IMAGES[rows], LABELS[rows], DIGESTS[rows])


def test_a_second_run_computes_nothing_and_gets_the_same_bits():
    first, second = inputs_of(), inputs_of()
    assert (first.cached.made, first.cached.reused) == (40, 0)
    assert (second.cached.made, second.cached.reused) == (0, 40)
    np.testing.assert_array_equal(first.feed.inputs[0], second.feed.inputs[0])
    np.testing.assert_array_equal(first.validation.inputs, second.validation.inputs)
    assert second.cached.bytes == 40 * 16 * 4  # the boundary is the pooled head


def test_what_has_changed_is_computed_again_and_nothing_else():
    inputs_of()
    assert counts(train=one_changed(TRAIN)) == (1, 39)
    assert counts(validation=one_changed(VALIDATION)) == (1, 39)
    assert counts(model(bias=1e-3)) == (40, 0)
    assert counts(prefix_precision="mixed_bfloat16") == (40, 0)


def test_split_order_and_whatever_trains_on_them_decide_no_activation():
    first = inputs_of()
    order = np.random.default_rng(1).permutation(40)
    again = inputs_of(
        train=chosen(order[:25]), validation=chosen(order[25:]), batch_size=4, seed=3, index=1
    )
    assert (again.cached.made, again.cached.reused) == (0, 40)
    of_image = np.concatenate([first.feed.inputs[0], first.validation.inputs])
    np.testing.assert_array_equal(again.feed.inputs[0], of_image[order[:25]])
    np.testing.assert_array_equal(again.validation.inputs, of_image[order[25:]])


def test_another_stage_with_the_same_boundary_computes_nothing():
    inputs_of(views=2, **shifting())
    network = model()
    network.get_layer("rescale").trainable = True  # it has no weights: the boundary stays
    assert counts(network, views=2, **shifting()) == (0, 70)


def test_images_that_are_added_are_all_that_is_computed():
    inputs_of(train=chosen(np.arange(20)), views=2, **shifting())
    assert counts(views=2, **shifting()) == (20, 50)
    assert counts(train=chosen(np.arange(20)), views=2, **shifting()) == (0, 50)


def test_an_activation_does_not_depend_on_the_batch_that_it_was_computed_in():
    alone = [inputs_of(train=chosen([row]), views=1, **shifting()) for row in (0, 7)]
    clear("activations")
    order = np.random.default_rng(1).permutation(30)
    together = inputs_of(train=chosen(order), views=1, **shifting()).feed.inputs[0]
    for row, one in zip((0, 7), alone, strict=True):
        place = int(np.flatnonzero(order == row)[0])
        np.testing.assert_array_equal(one.feed.inputs[0][0], together[place])


def test_another_layer_with_the_same_weights_is_another_prefix():
    def scaled(scale):
        network = model()
        x = layers.Rescaling(scale, name="scale")(network.get_layer("wide").output)
        return keras.Model(network.input, layers.Dense(CLASSES, name="head_dense")(x))

    assert counts(scaled(1.0)) == (40, 0)
    assert counts(scaled(1.0)) == (0, 40)
    assert counts(scaled(2.0)) == (40, 0)


def test_a_pass_that_is_interrupted_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(filling, "COMMIT_SECONDS", 0.0)

    def interrupt(done, total):
        if done >= 140:  # some batches are under way, the first are stored
            raise KeyboardInterrupt

    images = np.random.default_rng(2).integers(0, 256, (160, SIZE, SIZE, 3), np.uint8)
    train = Examples(images, np.arange(160) % CLASSES, digests_of(images))
    with pytest.raises(KeyboardInterrupt):
        inputs_of(train=train, progress=interrupt)
    again = inputs_of(train=train)
    assert 32 <= again.cached.reused - len(VALIDATION) < 160
    assert again.cached.made + again.cached.reused == 170
    expected = as_it_is(model(), images)
    np.testing.assert_allclose(again.feed.inputs[0], expected, rtol=1e-5, atol=1e-6)


def test_what_making_an_image_raises_arrives_however_late():
    def apply(image, rng):
        if (image == IMAGES[29]).all():
            raise ValueError("no such colour")
        return image

    order = np.r_[np.zeros(140, int), 29]
    augment = augmenter(HostAugmentation(apply), (0, 0), SIZE)
    with pytest.raises(PluginError, match="no such colour"):
        inputs_of(train=chosen(order), views=1, augment=augment)


def test_what_is_too_large_for_memory_is_read_as_it_is_used(monkeypatch):
    held = inputs_of()
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 0)
    read = inputs_of()
    assert isinstance(read.feed.inputs[0], stored.StoredRows)
    assert read.cached.bytes == held.cached.bytes
    for ours, theirs in zip(read.feed.epoch(1), held.feed.epoch(1), strict=True):
        np.testing.assert_array_equal(*(ops.convert_to_numpy(batch[0]) for batch in (ours, theirs)))
    np.testing.assert_array_equal(read.validation.inputs[2:5], held.validation.inputs[2:5])
    np.testing.assert_array_equal(read.validation.inputs[3], held.validation.inputs[3])


def test_no_more_views_are_computed_than_epochs_use():
    assert counts(views=5, epochs=2, **shifting()) == (70, 0)


def test_views_are_kept():
    first = inputs_of(views=2, **shifting())
    assert (first.cached.made, first.cached.reused) == (70, 0)
    second = inputs_of(views=3, **shifting())
    assert (second.cached.made, second.cached.reused) == (30, 70)
    for view in range(2):
        np.testing.assert_array_equal(first.feed.inputs[view], second.feed.inputs[view])
    assert len({view.tobytes() for view in second.feed.inputs}) == 3
    shares = [entry.about for entry in entries(["activations"])]
    assert {about.partition(":")[0] for about in shares} == {"net up to head_pool"}
    assert {about.partition(":")[2] for about in shares} == {
        " images",
        *(f" view {number} of shifting" for number in (1, 2, 3)),
    }


def roll(image, rng):
    return np.roll(image, rng.integers(SIZE), axis=1)


def test_a_view_on_the_host_is_its_images_through_the_prefix():
    augment = augmenter(HostAugmentation(roll), (0, 0), SIZE, view_seed=5)
    options = {"augment": augment, "views_key": "roll", "views": 2, "view_seed": 5}
    views = inputs_of(**options).feed.inputs
    rngs = generators(5, 1, TRAIN.digests)
    rolled = np.stack([roll(*one) for one in zip(TRAIN.inputs, rngs, strict=True)])
    expected = inputs_of(train=Examples(rolled, TRAIN.labels, digests_of(rolled)))
    np.testing.assert_array_equal(views[1], expected.feed.inputs[0])
    assert counts(**options) == (0, 70)


@pytest.mark.parametrize(
    ("change", "made"),
    [
        (shifting(view_seed=1), 30),
        (shifting(2.0), 30),
        (shifting(seed=(1, 1)) | {"seed": 1, "index": 1, "batch_size": 4}, 0),
    ],
)
def test_views_that_would_be_drawn_otherwise_are_made_again(change, made):
    inputs_of(views=1, **shifting())
    assert counts(views=1, **change) == (made, 40 - made)


def exchange(batch, arrays):
    mixed = {name: ops.roll(values, 1, axis=0) for name, values in batch.items()}
    return {name: 0.5 * (values + mixed[name]) for name, values in batch.items()}


def test_stored_views_are_mixed_anew_in_every_step():
    def draw(rng, batch_size):
        return {"share": rng.random((batch_size, 1))}

    def apply(batch, arrays):
        share = arrays["share"]
        first = {name: values[:1] for name, values in batch.items()}
        return {name: v + share * (first[name] - v) for name, v in batch.items()}

    weights = np.array([1, 2, 4], np.float32)
    plain = inputs_of(views=1, **shifting()).feed
    mixed = inputs_of(views=1, class_weights=weights, **shifting(mix=Mixing(draw, apply))).feed
    for epoch in (1, 2):
        for step, (ours, theirs) in enumerate(
            zip(mixed.epoch(epoch), plain.epoch(epoch), strict=True)
        ):
            share = np.random.default_rng([0, 0, epoch, step + 1]).random((8, 1)).astype("float32")
            for one, unmixed in zip(ours[:2], theirs[:2], strict=True):
                values = ops.convert_to_numpy(unmixed)
                expected = values + share * (values[:1] - values)
                np.testing.assert_allclose(ops.convert_to_numpy(one), expected, rtol=1e-5)
            labels = ops.convert_to_numpy(ours[1])
            np.testing.assert_allclose(ours[2], labels @ weights, rtol=1e-6)


def test_an_augmentation_that_mixes_images_by_itself_is_refused_for_stored_views():
    def apply(batch, arrays):
        return exchange(batch, arrays)

    augment = augmenter(Augmentation(lambda rng, count: {}, apply), (0, 0), SIZE, "the suspect")
    with pytest.raises(PluginError, match=r"^the suspect: apply must .* kerascnn\.Mixing"):
        inputs_of(views=1, augment=augment, views_key="mixing")
    assert entries(["activations"])[0].bytes < 10**4  # no row of it


def test_draws_that_cannot_be_had_again_are_not_kept():
    augment = augmenter(layers.RandomFlip(), (0, 0), SIZE)
    for _ in range(2):
        assert counts(augment=augment, views=1) in [(40, 0), (30, 10)]
    assert len(entries(["activations"])) == 1  # of the images to validate by


def test_without_views_the_training_images_go_through_the_whole_network():
    inputs = inputs_of(**shifting())
    assert inputs.trainer.input_shape == (None, SIZE, SIZE, 3)
    assert (inputs.cached.views, inputs.cached.made) == (0, 10)
    assert "in every step" in inputs.cached.frozen_part


def test_activations_beyond_the_budget_leave_the_whole_network():
    pooled = 40 * 16 * 4
    assert inputs_of(activation_bytes=pooled).cached.views == 1
    whole = inputs_of(activation_bytes=pooled - 1)
    assert (whole.cached.boundary, whole.cached.made) == ("input", 0)
    assert whole.trainer.input_shape == (None, SIZE, SIZE, 3)
    assert "activations_gb" in whole.cached.frozen_part


def test_the_boundary_moves_back_to_where_activations_are_small():
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(1, 3, strides=2, name="small")(images)
    x = layers.Dropout(0.9, name="drop")(layers.Conv2D(32, 1, name="large")(x))
    network = keras.Model(images, classifier_head(x, CLASSES, dropout=0.0, zero_initialized=False))
    for layer in network.layers:
        layer.trainable = layer.name == "head_dense"
    large = inputs_of(network, activation_bytes=10**9)
    small = inputs_of(network, activation_bytes=40 * 9 * 4)
    assert large.cached.bytes == 40 * 32 * 4
    assert small.cached.boundary == "small"
    assert small.cached.bytes == 40 * 9 * 4
    # the rest of the frozen part stays in inference mode: the dropout would show
    x, y = (
        ops.convert_to_numpy(i.trainer(i.feed.inputs[0][:4], training=True)) for i in (large, small)
    )
    np.testing.assert_allclose(x, y, atol=1e-6)


@pytest.mark.long
def test_half_the_bytes_in_half_the_precision():
    full, half = inputs_of(), inputs_of(prefix_precision="mixed_bfloat16")
    assert half.cached.bytes * 2 == full.cached.bytes
    assert str(half.feed.inputs[0].dtype) == "bfloat16"
    again = inputs_of(prefix_precision="mixed_bfloat16")
    assert again.cached.reused == 40
    for ours, theirs in zip(half.feed.epoch(1), again.feed.epoch(1), strict=True):
        np.testing.assert_array_equal(*(ops.convert_to_numpy(batch[0]) for batch in (ours, theirs)))


def test_what_is_gone_from_the_cache_is_made_again():
    inputs_of()
    assert len(clear("activations")) == 1
    assert counts() == (40, 0)


class Shift(layers.Layer):
    """Adds a number that is neither a weight nor in its configuration."""

    amount = 0.0

    def call(self, inputs):
        return inputs + ops.cast(self.amount, inputs.dtype)


def after_narrow(layer):
    network = model()
    x = layer(network.get_layer("narrow").output)
    network = keras.Model(network.input, classifier_head(x, CLASSES, dropout=0.0))
    for one in network.layers:
        one.trainable = one.name == "head_dense"
    return network


def as_it_is(network, images):
    parts = cut(network)
    return ops.convert_to_numpy(parts.prefix(images.astype("float32"), training=False))


@pytest.mark.skipif(not openvino_version(), reason="OpenVINO is not installed")
def test_openvino_computes_what_the_backend_would_and_is_named():
    network = model()
    by_backend, fast = inputs_of(network), inputs_of(network, prefix_engine="auto")
    assert fast.cached.engine == f"OpenVINO {openvino_version()}"
    assert not by_backend.cached.engine
    assert (fast.cached.made, fast.cached.reused) == (40, 0)
    for one, other in zip(fast.feed.inputs, by_backend.feed.inputs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.skipif(not openvino_version(), reason="OpenVINO is not installed")
def test_a_layer_that_openvino_cannot_run_leaves_the_prefix_to_the_backend():
    network, said = after_narrow(Shift(name="shift")), []
    inputs = inputs_of(network, prefix_engine="auto", warned=said)
    np.testing.assert_allclose(inputs.feed.inputs[0], as_it_is(network, TRAIN.inputs), rtol=1e-5)
    assert not inputs.cached.engine
    assert len(said) == 1
    assert "runs with BatchNorm folded instead of on OpenVINO" in said[0]
    assert 'layer "shift" (Shift)' in said[0]


def test_a_prefix_that_does_not_agree_with_the_network_is_not_used():
    shift = Shift(name="shift")
    network, said = after_narrow(shift), []
    shift.amount = 9.0
    options = {"prefix_precision": "mixed_bfloat16", "warned": said}
    first = inputs_of(network, **options)
    np.testing.assert_allclose(first.feed.inputs[0], as_it_is(network, TRAIN.inputs), rtol=1e-5)
    assert len(said) == 1
    assert "runs unchanged instead of in mixed_bfloat16" in said[0]
    assert (first.cached.made, first.cached.reused) == (40, 0)
    again = inputs_of(network, **options)
    assert (again.cached.made, again.cached.reused) == (0, 40)
    assert said[0] == said[1]
    np.testing.assert_array_equal(again.feed.inputs[0], first.feed.inputs[0])


def test_activations_that_overflow_are_kept_in_the_precision_of_the_network():
    """Which shows in a single image, behind the batch that both ways are compared on."""
    train = np.full((35, SIZE, SIZE, 3), 1, np.uint8)
    train[:, 0, 0] = np.arange(35)[:, None]
    train[34] = 255
    network, said = after_narrow(layers.Rescaling(4e3, name="large")), []
    network.get_layer("narrow").kernel.assign(np.ones((3, 3, 3, 2), "float32"))
    examples = Examples(train, np.arange(35) % CLASSES, digests_of(train))
    dim = Examples(train[:10], np.arange(10) % CLASSES, digests_of(train[:10]))
    inputs = inputs_of(network, examples, dim, prefix_precision="mixed_float16", warned=said)
    np.testing.assert_allclose(inputs.feed.inputs[0], as_it_is(network, train), rtol=1e-5)
    assert len(said) == 1
    assert "activations overflow float16" in said[0]
    np.testing.assert_allclose(inputs.validation.inputs, as_it_is(network, train[:10]), rtol=1e-5)
    assert (inputs.cached.made, inputs.cached.reused) == (35, 10)  # the dim ones are among both
    assert not [one for one in threading.enumerate() if one.name == "kerascnn-batches"]


def test_activations_that_are_not_finite_are_no_fault_of_the_learning_rate():
    with pytest.raises(RunError, match=r"frozen part .* not finite, first for image 1 of 10") as no:
        inputs_of(model(bias=np.nan))
    assert "rate" not in str(no.value)
    assert entries(["activations"])[0].bytes < 10**4  # no row


def test_a_helper_of_a_layer_that_has_changed_makes_another_prefix(tmp_path, monkeypatch):
    package = tmp_path / "changing_layers"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import keras\nfrom changing_layers.helpers import shifted\n"
        "class Shift(keras.Layer):\n    def call(self, inputs):\n        return shifted(inputs)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    means = []
    for amount in (1.0, 2.25):
        (package / "helpers.py").write_text(f"def shifted(inputs): return inputs + {amount}\n")
        layer = importlib.import_module("changing_layers").Shift(name="shift")
        inputs = inputs_of(after_narrow(layer))
        assert (inputs.cached.made, inputs.cached.reused) == (40, 0)
        means.append(inputs.feed.inputs[0].mean())
        for name in ("changing_layers", "changing_layers.helpers"):
            del sys.modules[name]
    assert means[1] - means[0] == pytest.approx(1.25, rel=1e-5)


def test_of_a_layer_whose_code_is_in_no_file_nothing_is_kept():
    """As of one that is typed into a notebook."""
    typed = type("Typed", (Shift,), {"__module__": "typed_into_a_notebook"})
    for _ in range(2):
        said = []
        inputs = inputs_of(after_narrow(typed(name="shift")), warned=said)
        assert (inputs.cached.made, inputs.cached.reused) == (40, 0)
        assert len(said) == 1
        assert "not cached: the code of the module typed_into_a_notebook is in no file" in said[0]
    assert entries(["activations"]) == []


class Stubborn(Shift):
    """Cannot be copied."""

    def get_config(self):
        raise NotImplementedError("no settings")


def test_a_prefix_that_cannot_be_made_anew_runs_as_it_is():
    said = []
    network = after_narrow(Stubborn(name="stubborn"))
    inputs = inputs_of(network, prefix_precision="mixed_bfloat16", warned=said)
    np.testing.assert_allclose(inputs.feed.inputs[0], as_it_is(network, TRAIN.inputs), rtol=1e-5)
    assert any("no settings" in message for message in said)


def later(network):
    """The same network with the boundary one layer further on."""
    network.get_layer("wide").trainable = False
    return network


def earlier(network):
    network.get_layer("wide").trainable = True
    return network


@pytest.mark.long  # it compiles two prefixes and what is between them
def test_activations_of_a_later_layer_are_computed_from_stored_ones_of_an_earlier_layer():
    options = {"views": 2, **shifting()}
    afresh = inputs_of(later(model()), **options)
    clear("activations")
    inputs_of(earlier(model()), train=chosen(np.arange(25)), **options)
    continued = inputs_of(later(model()), **options)
    assert (continued.cached.made, continued.cached.reused) == (70, 0)
    assert continued.cached.continued == 50  # the first batch was computed both ways
    for view in range(2):
        np.testing.assert_array_equal(continued.feed.inputs[view], afresh.feed.inputs[view])
    np.testing.assert_array_equal(continued.validation.inputs, afresh.validation.inputs)
    assert counts(later(model()), **options) == (0, 70)


@pytest.mark.long  # as the one before
def test_what_does_not_follow_bit_for_bit_from_an_earlier_layer_is_computed_from_the_images(
    monkeypatch,
):
    monkeypatch.setattr(np, "array_equal", lambda *_: False)
    inputs_of(earlier(model()))
    cached = inputs_of(later(model())).cached
    assert (cached.made, cached.reused, cached.continued) == (40, 0, 0)
