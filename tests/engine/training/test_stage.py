"""One stage on a tiny network: what is trained, frozen and carried forward."""

import gc
import weakref

import keras
import numpy as np
import pytest
from digests import digests_of
from keras import layers, ops
from keras.callbacks import Callback, LearningRateScheduler, ReduceLROnPlateau

from kerascnn import Metric, PluginError, RunError, classifier_head
from kerascnn.engine.data.batches.augment import Augmenter
from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.metrics.named import NamedMetric
from kerascnn.engine.metrics.score import Standing, judge
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.freezing import digest, frozen_variables
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.network.prefix import ways
from kerascnn.engine.training import compile, memory, stage
from kerascnn.engine.training.listener import Listener
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage import fit_stage
from kerascnn.experiment.model import EarlyStopping, Optimizer, Stage
from kerascnn.hookspecs import Weights

pytestmark = pytest.mark.backend
CLASSES, SIZE, BATCH = 3, 8, 8
HEAD = frozenset({"head_pool", "head_dropout", "head_dense"})
BLOCK = HEAD | {"block_drop", "block_conv", "block_bn"}
ALL = BLOCK | {"stem_rescale", "stem_conv", "stem_drop", "stem_bn"}
PERFECT = Standing(accuracy=1.0, loss=0.0, correct=np.ones(1, bool))
QUIET = Listener()


def coloured(count, seed):
    """Noise, each image brighter in the channel of its class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    images = rng.integers(0, 128, (count, SIZE, SIZE, 3))
    images[np.arange(count), :, :, labels] += 60
    images = images.astype(np.uint8)
    return Examples(images, labels, digests_of(images))


TRAIN, VALIDATION = coloured(30, 0), coloured(12, 1)


def make_network():
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255, name="stem_rescale")(images)
    x = layers.Conv2D(4, 3, strides=2, name="stem_conv")(x)
    x = layers.Dropout(0.5, name="stem_drop")(layers.BatchNormalization(name="stem_bn")(x))
    x = layers.Conv2D(4, 3, name="block_conv")(x)
    x = layers.BatchNormalization(name="block_bn")(x)
    x = layers.Dropout(0.5, name="block_drop")(x)
    model = keras.Model(images, classifier_head(x, CLASSES))
    block_of = {layer.name: layer.name.split("_")[0] for layer in model.layers[1:]}
    return Built(model, block_of, ("stem", "block"), weights=Weights("a test"))


def constant(peak_learning_rate, steps, steps_per_epoch):
    return keras.optimizers.schedules.PiecewiseConstantDecay([steps], [peak_learning_rate] * 2)


@Augmenter
def identity(images, targets, epoch, step):
    return ops.convert_to_tensor(images), ops.convert_to_tensor(targets)


def fit(trained=HEAD, *, network=None, before=None, listener=QUIET, **options):
    """Fits a stage; options belong to the Plan where it has such a field, else to the Stage."""
    of_plan = {name: options.pop(name) for name in [*options] if name in Plan.__annotations__}
    stage = Stage(name="trial", **{"epochs": 1, "learning_rate": 0.01} | options)
    plan = {"index": 0, "batchnorm": "frozen", "batch_size": BATCH, "schedule": constant} | of_plan
    network = network or make_network()
    plan = Plan(stage=stage, layers=frozenset(trained), **plan)
    return network, fit_stage(network, plan, TRAIN, VALIDATION, before, listener)


def weights(network):
    return {v.path: ops.convert_to_numpy(v.value).copy() for v in network.model.weights}


def changed(before, after):
    return {path.split("/")[0] for path, value in after.items() if (value != before[path]).any()}


def metric(result, name):
    return [epoch.metrics[name] for epoch in result.history]


@pytest.fixture(scope="module")
def head():
    heard = {"prefix": [], "step": [], "epoch": []}
    listener = Listener(
        prefix=lambda done, total: heard["prefix"].append((done, total)),
        step=lambda done, total: heard["step"].append((done, total)),
        epoch=lambda epoch: heard["epoch"].append(epoch.number),
    )
    network = make_network()
    before = weights(network)
    _, result = fit(network=network, listener=listener, epochs=3, learning_rate=0.1)
    return network, result, before, weights(network), heard


def test_a_head_stage_changes_the_head_alone(head):
    network, result, before, after, _ = head
    assert changed(before, after) == {"head_dense"}
    assert result.frozen_sha256 == digest(frozen_variables(network.model))
    assert result.trainable_layers == ["head_dense"]
    assert result.trainable_parameters == 4 * CLASSES + CLASSES
    assert result.boundary == "head_pool"
    assert result.cached.views == 1


def test_a_lack_of_memory_is_told_before_the_first_step(monkeypatch):
    said = []
    monkeypatch.setattr(memory, "device_bytes", lambda: 2000)
    listener = Listener(warned=said.append, step=lambda done, total: said.append("step"))
    fit(ALL, listener=listener)
    assert said[0].startswith("8 images at once may need ")
    assert set(said[1:]) == {"step"}


def test_the_weights_carried_forward_are_those_of_the_best_epoch(head):
    network, result, *_ = head
    scores = [(e.metrics["val_accuracy"], -e.metrics["val_loss"]) for e in result.history]
    assert result.standing is result.own
    assert (result.own.accuracy, -result.own.loss) == max(scores)
    assert result.kept
    probabilities = Forward(network.model)(VALIDATION.inputs, BATCH)
    measured = judge(probabilities, VALIDATION.labels)
    assert measured.loss == pytest.approx(result.own.loss, abs=1e-5)
    np.testing.assert_array_equal(measured.correct, result.standing.correct)


def test_it_learns_and_tells_how_it_goes(head):
    _, result, _, _, heard = head
    assert result.own.loss < np.log(CLASSES) - 0.01
    assert metric(result, "train_loss")[-1] < metric(result, "train_loss")[0]
    assert heard["epoch"] == [1, 2, 3]
    assert heard["step"].count((4, 4)) == 3
    assert {total for _, total in heard["step"]} == {4}
    assert heard["prefix"][-1] == (42, 42)


def test_how_many_steps_are_taken_at_once_changes_nothing(head, monkeypatch):
    *_, together, heard = head
    if keras.config.backend() == "tensorflow":
        assert heard["step"] == [(4, 4)] * 3
    for at_once in (1, 3):
        monkeypatch.setattr(compile, "AT_ONCE", at_once)
        network, _ = fit(epochs=3, learning_rate=0.1)
        for path, value in weights(network).items():
            np.testing.assert_allclose(value, together[path], atol=1e-6, err_msg=path)


@pytest.mark.parametrize(
    "trained", [pytest.param(HEAD, marks=pytest.mark.long), BLOCK - {"block_drop"}]
)
def test_the_prefix_run_once_or_with_every_step_trains_the_same_weights(trained):
    """The frozen dropout in the prefix would tell them apart, were it not in inference mode."""
    once, first = fit(trained, epochs=2, keep="last")
    stepwise, second = fit(trained, epochs=2, keep="last", augment=identity)
    assert first.boundary == second.boundary
    assert (first.cached.views, second.cached.views) == (1, 0)
    for path, value in weights(once).items():
        np.testing.assert_allclose(weights(stepwise)[path], value, atol=1e-4, err_msg=path)


def test_augmented_views_run_through_the_prefix_once_each():
    seen = []

    @Augmenter
    def brighter(images, targets, epoch, step):
        seen.append((epoch, step))
        return ops.convert_to_tensor(images + 10.0), ops.convert_to_tensor(targets)

    _, result = fit(epochs=3, views=2, augment=brighter)
    assert seen == [(view, step) for view in range(2) for step in range(4)]
    assert result.cached.views == 2


@pytest.mark.parametrize("options", [{}, {"augment": identity}], ids=["activations", "images"])
def test_a_stage_frees_what_it_trained_on_and_with(monkeypatch, options):
    """Models are in cycles, shared layers keep those before them, TensorFlow what feeds it."""
    alive = []

    def inputs_of(parts, *arguments):
        made = make_inputs(parts, *arguments)
        watch(parts.prefix, parts.suffix, made.feed, made.trainer, made.forward)
        watch(*(array for array in made.feed.inputs if array is not TRAIN.inputs))
        watch(made.validation.inputs)
        return made

    def watch(*objects):
        alive.extend(map(weakref.ref, objects))

    def fold(*arguments):
        folded = fold_model(*arguments)
        watch(folded, folded.get_layer("stem_conv"))
        return folded

    def check(optimizer, *arguments):
        watch(optimizer)
        check_optimizer(optimizer, *arguments)

    make_inputs, check_optimizer = stage.make_inputs, stage.check_optimizer
    fold_model = ways.fold
    monkeypatch.setattr(ways, "fold", fold)
    monkeypatch.setattr(stage, "make_inputs", inputs_of)
    monkeypatch.setattr(stage, "check_optimizer", check)
    fit(**options)
    assert len(alive) >= 7  # where OpenVINO runs the frozen part, there is no folded copy
    assert not [reference() for reference in alive if reference() is not None]


@pytest.mark.long
def test_the_graphs_of_a_stage_are_freed_with_it():
    """TensorFlow keeps every custom gradient, and a graph with it, for as long as it lives."""
    tensorflow = pytest.importorskip("tensorflow")

    def graphs():
        gc.collect()
        return [kept for kept in gc.get_objects() if issubclass(type(kept), tensorflow.Graph)]

    fit()
    before = weakref.WeakSet(graphs())  # those of other tests may be freed meanwhile
    fit(ALL)
    assert not [graph for graph in graphs() if graph not in before]


@pytest.mark.long  # tests/run/test_runner.py shows it of a whole run
def test_two_runs_with_one_seed_give_the_same_bits():
    first, second = (weights(fit(ALL, batchnorm="train")[0]) for _ in range(2))
    assert changed(first, second) == set()


def test_a_worse_stage_is_told_and_undone():
    network = make_network()
    before = weights(network)
    _, result = fit(ALL, network=network, before=PERFECT, batchnorm="train")
    assert not result.kept
    assert result.standing is PERFECT
    assert result.own.loss > 0
    assert changed(before, weights(network)) == set()  # BatchNorm's statistics too


def test_keep_last_keeps_a_worse_stage():
    network = make_network()
    before = weights(network)
    _, result = fit(network=network, before=PERFECT, keep="last")
    assert result.kept
    assert result.standing is result.own
    assert changed(before, weights(network)) == {"head_dense"}


def test_early_stopping_ends_the_stage():
    stopping = EarlyStopping(monitor="val_accuracy", patience=2)
    _, result = fit(epochs=9, learning_rate=1e-30, early_stopping=stopping)
    assert result.epochs == len(result.history) == 3


def sequence(*values):
    """A metric that gives these values, one at each epoch."""
    given = iter(values)
    return NamedMetric("given", Metric(lambda *_: next(given)), None)


def test_another_metric_decides_between_epochs_and_stages_and_stops():
    stopping = EarlyStopping(monitor="val_given", patience=2)
    options = {"epochs": 9, "early_stopping": stopping, "keep": "best:given"}
    network, first = fit(metrics=(sequence(0.3, 0.7, 0.5, 0.7 - 1e-9, 0.8),), **options)
    assert (first.epochs, first.own.metric, first.own.value) == (4, "given", 0.7)
    assert metric(first, "val_given") == [0.3, 0.7, 0.5, 0.7 - 1e-9]
    kept = Forward(network.model)(VALIDATION.inputs, BATCH)
    assert judge(kept, VALIDATION.labels).loss == pytest.approx(
        first.history[1].metrics["val_loss"]
    )
    before = weights(network)
    _, second = fit(
        network=network,
        before=first.standing,
        keep="best:given",
        metrics=(sequence(0.6),),
    )
    assert not second.kept
    assert changed(before, weights(network)) == set()


def test_the_rate_that_is_told_is_the_last_steps():
    def cosine(peak_learning_rate, steps, steps_per_epoch):
        assert (steps, steps_per_epoch) == (8, 4)
        return keras.optimizers.schedules.CosineDecay(peak_learning_rate, steps)

    _, result = fit(epochs=2, learning_rate=0.2, schedule=cosine)
    expected = [0.1 * (1 + np.cos(np.pi * last / 8)) for last in (3, 7)]
    assert metric(result, "learning_rate") == pytest.approx(expected, rel=1e-5)


class Halving(Callback):
    """Sets the rate before each step, as a warm-up does."""

    def on_train_begin(self, logs=None):
        self.steps = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.0 if self.steps < 4 else 0.5**self.steps
        self.steps += 1


@pytest.mark.parametrize(
    ("make", "rates"),
    [
        (lambda: ReduceLROnPlateau(factor=0.5, patience=1, min_delta=9), [0.1, 0.1, 0.05]),
        pytest.param(
            lambda: ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=9),
            [0.1, 0.1, 0.05],
            marks=pytest.mark.long,
        ),
        pytest.param(
            lambda: LearningRateScheduler(lambda epoch: 0.3 / (epoch + 1)),
            [0.3, 0.15, 0.1],
            marks=pytest.mark.long,
        ),
        (Halving, [0.0, 0.5**7, 0.5**11]),
    ],
    ids=["plateau", "plateau of loss", "scheduler", "every step"],
)
def test_a_callback_may_be_the_schedule(make, rates):
    _, result = fit(epochs=3, learning_rate=0.1, schedule=lambda **_: make())
    assert metric(result, "learning_rate") == pytest.approx(rates, rel=1e-5)
    if rates[0] == 0:  # it was applied, not only told: nothing moved from the even probabilities
        assert metric(result, "val_loss")[0] == pytest.approx(np.log(CLASSES), abs=1e-5)
        assert metric(result, "val_loss")[1] != metric(result, "val_loss")[0]


def test_a_callback_replaces_nothing_by_compiling():
    class Compiles(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.compile("sgd", "mse", metrics=["mae"])

    with pytest.raises(PluginError, match="on_epoch_begin changed the loss, the metrics, the opti"):
        fit(schedule=lambda **_: Compiles())


def test_numbers_that_a_callback_logs_are_metrics_of_the_epoch():
    class Logs(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["noise/scale"] = np.float32(0.5)

    _, result = fit(schedule=lambda **_: Logs())
    assert metric(result, "noise/scale") == [0.5]


def test_the_loss_has_label_smoothing_and_class_weights():
    network = make_network()
    dense = network.model.get_layer("head_dense")
    dense.bias.assign(np.array([2, 0, -1], "float32"))
    class_weights = np.array([1, 2, 4], np.float32)
    _, result = fit(
        network=network,
        batch_size=len(TRAIN),
        learning_rate=1e-30,
        label_smoothing=0.3,
        class_weights=class_weights,
    )
    log_probabilities = np.array([2, 0, -1]) - np.log(np.exp([2, 0, -1]).sum())
    targets = 0.7 * np.eye(CLASSES)[TRAIN.labels] + 0.3 / CLASSES
    expected = (class_weights[TRAIN.labels] * -(targets @ log_probabilities)).mean()
    assert metric(result, "train_loss") == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize("batch_size", [BATCH, pytest.param(len(TRAIN), marks=pytest.mark.long)])
def test_a_loss_that_is_not_finite_ends_the_run(batch_size):
    """After a single step only the validation images show its effect."""
    steep = np.full(CLASSES, 1e6, np.float32)
    explosive = {"optimizer": Optimizer(name="sgd"), "learning_rate": 1e38, "class_weights": steep}
    with pytest.raises(RunError, match=r'stage "trial", epoch 1: .*nan.* learning rate 1\.0e\+38'):
        fit(batch_size=batch_size, **explosive)


@pytest.mark.parametrize("trained", [HEAD, pytest.param(BLOCK, marks=pytest.mark.long)])
def test_the_first_step_whose_loss_is_not_finite_is_the_last(trained):
    """A head's steps too, of which TensorFlow takes several in one call."""

    class Broken(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return ops.where(step < 5, 0.01, float("nan"))  # from the second step of epoch 2

    with pytest.raises(RunError, match=r"epoch 2: the loss is nan after step 3 of 4"):
        fit(trained, schedule=lambda **_: Broken(), epochs=2)


@pytest.mark.parametrize("trained", [HEAD, pytest.param(ALL, marks=pytest.mark.long)])
def test_a_loss_before_the_first_update_is_no_fault_of_the_learning_rate(trained):
    network = make_network()
    network.model.get_layer("head_dense").bias.assign(np.full(CLASSES, np.nan))
    with pytest.raises(RunError, match=r"after step 1 of 4, before any weight") as fault:
        fit(trained, network=network)
    assert "rate" not in str(fault.value)


@pytest.mark.parametrize(
    "spoilt", ["moving_mean", pytest.param("moving_variance", marks=pytest.mark.long)]
)
def test_a_statistic_that_is_not_finite_ends_the_run_with_the_step(spoilt):
    """A training step does without: it uses the batch's own statistics."""
    network = make_network()

    class Spoiler(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                statistic = getattr(network.model.get_layer("block_bn"), spoilt)
                statistic.assign(statistic + np.inf)

    options = {"batchnorm": "train", "schedule": lambda **_: Spoiler(), "epochs": 2}
    with pytest.raises(RunError, match=r"epoch 2: the loss is nan after step 1 of 4"):
        fit(ALL, network=network, **options)


def test_statistics_without_scale_and_shift_are_learnt_where_the_stage_trains_them():
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.BatchNormalization(center=False, scale=False, name="stem_bn")(images)
    x = layers.Conv2D(4, 3, name="block_conv")(x)
    model = keras.Model(images, classifier_head(x, CLASSES))
    block_of = {layer.name: layer.name.split("_")[0] for layer in model.layers[1:]}
    network = Built(model, block_of, ("stem", "block"))
    fit(set(block_of), network=network, batchnorm="train", keep="last")
    assert (ops.convert_to_numpy(model.get_layer("stem_bn").moving_mean) > 1).all()


def test_layer_decay_slows_the_blocks_before_the_head():
    def update(layer_decay):
        network = make_network()
        rng = np.random.default_rng(0)  # a head of zeros passes no gradient on
        network.model.get_layer("head_dense").kernel.assign(rng.normal(size=(4, CLASSES)))
        before = weights(network)
        options = {"optimizer": Optimizer(name="sgd"), "batch_size": len(TRAIN), "keep": "last"}
        fit(ALL, network=network, layer_decay=layer_decay, **options)
        return {path: value - before[path] for path, value in weights(network).items()}

    plain, slowed = update(1.0), update(0.5)
    for path, factor in [
        ("head_dense/kernel", 1),
        ("block_conv/kernel", 0.5),
        ("stem_conv/kernel", 0.25),
    ]:
        assert abs(plain[path]).max() > 1e-5
        np.testing.assert_allclose(slowed[path], factor * plain[path], rtol=0.02, atol=1e-7)


@pytest.mark.parametrize(
    "precision", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.long)]
)
def test_mixed_precision_trains_and_gives_float32_probabilities(precision):
    keras.config.set_dtype_policy(precision)
    try:
        network, result = fit(BLOCK, epochs=2)
        probabilities = Forward(network.model)(VALIDATION.inputs, BATCH)
    finally:
        keras.config.set_dtype_policy("float32")
    assert result.kept
    assert metric(result, "learning_rate") == pytest.approx([0.01, 0.01])
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("at", [pytest.param(0, marks=pytest.mark.long), 3])
def test_a_fault_in_the_augmentation_arrives_as_it_is(at):
    @Augmenter
    def broken(images, targets, epoch, step):
        if step == at:
            raise ZeroDivisionError("no such colour")
        return images, targets

    with pytest.raises(ZeroDivisionError, match=r"^no such colour$"):
        fit(augment=broken)


def test_a_stage_may_hand_on_the_moving_average_of_its_weights():
    """At a constant gradient the average lags behind by its horizon."""
    options = {"optimizer": Optimizer(name="sgd"), "epochs": 4, "keep": "last"}
    plain, _ = fit(ema_fraction=0, **options)
    network, result = fit(ema_fraction=0.5, **options)
    kernel, average = (n.model.get_layer("head_dense").get_weights()[0] for n in (plain, network))
    share = (average * kernel).sum() / (kernel**2).sum()
    assert 0.3 < share < 0.8
    forward = Forward(network.model)
    judged = judge(forward(VALIDATION.inputs, BATCH), VALIDATION.labels)
    assert judged.loss == pytest.approx(result.own.loss, rel=1e-5)
