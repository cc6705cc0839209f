"""Keras's private names are where the package expects them, and no other file uses one."""

import ast
import gc
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

import kerascnn
from kerascnn.runtime import keras_internals as internals

PACKAGE = Path(kerascnn.__file__).parent
PRIVATE_MODULES = ("keras.src", "tensorflow.python", "jax._src", "torch._")
NAMED_TUPLES = {"_asdict", "_replace", "_fields"}


@pytest.fixture
def nested():
    """A network with a Sequential, one Dense layer deep, inside."""
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="inside")], name="inner")
    images = keras.Input((3,), name="images")
    return keras.Model(images, layers.Dense(2, name="last")(inner(images)))


@pytest.fixture
def optimizer():
    """Adam, after one step along a gradient of ones, with moving averages of the weights."""
    made = keras.optimizers.Adam(0.5, use_ema=True, ema_momentum=0.9)
    variable = keras.Variable([1.0, 2.0], name="weight")
    made.build([variable])
    made.apply([ops.ones(2)])
    made.variable = variable
    return made


@pytest.mark.backend
def test_the_layers_inside_of_a_model(nested):
    with_weights = [layer.name for layer in internals.nested_layers(nested) if layer.weights]
    assert with_weights == ["inner", "inside", "last"]
    assert internals.nested_layers(nested.get_layer("last")) == []
    assert internals.nested_layers(ops.abs) == []


@pytest.mark.backend
def test_the_graph_of_a_model_and_of_a_sequential(nested):
    assert internals.functional_graph(nested) is nested
    inside = internals.functional_graph(nested.get_layer("inner"))
    assert [node.operation.name for node in internals.nodes_in_order(inside)][1:] == ["inside"]
    assert internals.functional_graph(nested.get_layer("last")) is None


@pytest.mark.backend
def test_the_nodes_of_a_graph_from_the_input_on(nested):
    nodes = internals.nodes_in_order(nested)
    assert [node.operation.name for node in nodes] == ["images", "inner", "last"]
    assert nodes[-1].input_tensors[0] is nodes[1].outputs[0]


@pytest.mark.backend
def test_a_graph_is_run_call_by_call(nested):
    called, ones = [], ops.ones((1, 3))

    def call(operation, inputs, **_):
        called.append(operation.name)
        return operation(inputs)

    values = internals.run_graph(nested, ones, call)
    assert called == ["inner", "last"]
    np.testing.assert_allclose(*map(ops.convert_to_numpy, (values, nested(ones))))


@pytest.mark.backend
def test_the_call_that_gives_a_tensor(nested):
    node = internals.node_behind(nested.output)
    assert node.operation is nested.get_layer("last")
    assert node.outputs == [nested.output]


@pytest.mark.backend
def test_the_last_call_of_each_layer_in_a_graph():
    twice, once = layers.Dense(3, name="twice"), layers.Dense(3, name="once")
    twice(keras.Input((3,)))  # another graph, the first that knows it
    images = keras.Input((3,), name="images")
    output = twice(once(twice(images)))
    calls = internals.last_calls(keras.Model(images, output))
    assert list(calls) == ["images", "twice", "once"]
    assert calls["twice"].outputs[0] is output
    assert calls["once"].outputs[0] is calls["twice"].input_tensors[0]


@pytest.mark.backend
def test_metrics_have_their_variables_before_the_first_step(nested):
    nested.compile("sgd", "mse", metrics=["mae"])
    before = len(nested.metrics_variables)
    internals.build_metrics(nested, ops.zeros((1, 2)))
    assert len(nested.metrics_variables) > before
    built = [variable.path for variable in nested.metrics_variables]
    nested.train_on_batch(np.zeros((1, 3)), np.zeros((1, 2)))
    assert [variable.path for variable in nested.metrics_variables] == built


@pytest.mark.backend
@pytest.mark.parametrize("scaled", [False, True])
def test_what_an_optimizer_updates_and_averages(optimizer, scaled):
    [variable] = internals.optimized_variables(optimizer)
    assert variable is optimizer.variable
    [average] = internals.moving_averages(optimizer)
    assert average.shape == variable.shape
    outer = keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer
    assert internals.optimized_variables(outer) == [variable]
    assert internals.moving_averages(keras.optimizers.Adam()) == []


@pytest.mark.backend
def test_the_learning_rate_of_an_optimizer_and_the_step_that_a_schedule_gets(optimizer):
    assert float(ops.convert_to_numpy(internals.learning_rate(optimizer))) == 0.5
    assert int(internals.schedule_step(optimizer)) == 1
    schedule = keras.optimizers.schedules.CosineDecay(0.5, 10)
    assert internals.learning_rate(keras.optimizers.SGD(schedule)) is schedule


@pytest.mark.backend
@pytest.mark.parametrize("name", ["SGD", "AdamW", "Muon"])
def test_factors_scale_the_steps_and_the_decay_of_each_variable(name):
    made = internals.with_rate_factors(getattr(keras.optimizers, name))(
        learning_rate=0.1, weight_decay=0.5
    )
    full, none = keras.Variable([1.0, 1.0], name="full"), keras.Variable([1.0, 1.0], name="none")
    made.factors = {none.path: 0.0}
    made.build([full, none])
    made.apply([ops.ones(2), ops.ones(2)])
    assert (ops.convert_to_numpy(full.value) < 1).all()
    assert (ops.convert_to_numpy(none.value) == 1).all()


@pytest.mark.backend
def test_the_generator_that_is_used_where_a_layer_has_none():
    before = internals.keras_state()
    keras.backend.clear_session()
    try:
        assert internals.seed_generator() is None
        keras.random.normal((1,))
        assert internals.seed_generator() is internals.seed_generator(create=True)
    finally:
        internals.set_keras_state(before)


@pytest.mark.backend
def test_the_state_of_keras_is_put_back_as_a_whole():
    before, policy = internals.keras_state(), keras.config.dtype_policy().name
    keras.backend.clear_session()
    keras.config.set_dtype_policy("mixed_bfloat16")
    internals.set_keras_state(before)
    assert keras.config.dtype_policy().name == policy


def test_the_seed_and_the_determinism_of_tensorflow():
    tensorflow = pytest.importorskip("tensorflow")
    seed, deterministic = internals.tensorflow_seed(), internals.tensorflow_is_deterministic()
    try:
        tensorflow.random.set_seed(7)
        assert internals.tensorflow_seed() == 7
        internals.set_tensorflow_seed(None)
        assert internals.tensorflow_seed() is None
        tensorflow.config.experimental.enable_op_determinism()
        assert internals.tensorflow_is_deterministic()
        internals.disable_tensorflow_determinism()
        assert not internals.tensorflow_is_deterministic()
    finally:
        internals.set_tensorflow_seed(seed)
        if deterministic:
            tensorflow.config.experimental.enable_op_determinism()


def test_the_gradients_that_tensorflow_registers():
    tensorflow = pytest.importorskip("tensorflow")

    @tensorflow.function
    def traced(x):
        return tensorflow.custom_gradient(lambda y: (y, lambda slope: slope))(x)

    before = set(internals.tensorflow_gradients())
    traced(tensorflow.constant(1.0))
    [added] = set(internals.tensorflow_gradients()) - before
    assert added.startswith("CustomGradient-")
    del internals.tensorflow_gradients()[added]


def test_no_other_file_uses_private_names():
    files = [file for file in PACKAGE.rglob("*.py") if file.name != "keras_internals.py"]
    assert {str(file.relative_to(PACKAGE)): f for file in files if (f := private_names(file))} == {}


def private_names(file):
    """The private modules, attributes and names in strings that a file uses and does not define."""
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    own = {node.name for node in nodes if isinstance(node, definitions)}
    own |= {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in nodes
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store)
    }
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    modules += [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
    used = [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    used += [
        argument.value
        for node in nodes
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr")
        for argument in node.args[1:2]
        if isinstance(argument, ast.Constant)
    ]
    hidden = {name for name in used if name.startswith("_") and not name.startswith("__")}
    return [
        *(module for module in modules if module.startswith(PRIVATE_MODULES)),
        *sorted(hidden - own - NAMED_TUPLES - {"_exit"}),  # `os._exit` is public
    ]


def test_calls_of_a_shared_layer_are_forgotten():
    images = keras.Input((3,))
    last = layers.Dense(2)
    network = keras.Model(images, last(layers.Dense(4)(images)))
    with internals.calls_forgotten(network):
        other = layers.Dense(4)
        keras.Model(images, last(other(images)))
        alive = weakref.ref(other)
        del other
    gc.collect()
    assert alive() is None
    assert keras.Model(network.input, network.output)(np.zeros((1, 3))).shape == (1, 2)


@pytest.mark.backend
@pytest.mark.skipif(keras.config.backend() != "torch", reason="a function of PyTorch")
def test_a_group_of_processes_can_be_abandoned():
    import torch

    assert callable(torch.distributed.distributed_c10d._abort_process_group)


@pytest.mark.backend
def test_the_moments_of_a_batch_can_be_reduced():
    norm = keras.layers.BatchNormalization(momentum=0.0)
    model = keras.Sequential([keras.Input((2,)), norm])
    inputs = np.array([[0.0, 2.0], [2.0, 6.0]], np.float32)
    with internals.moments_reduced(model, lambda mean, variance: (mean + 1, variance * 4)):
        model(inputs, training=True)
    np.testing.assert_allclose(norm.moving_mean.numpy(), [2, 5])
    np.testing.assert_allclose(norm.moving_variance.numpy(), [4, 16])
    model(inputs, training=True)
    np.testing.assert_allclose(norm.moving_mean.numpy(), [1, 4])


@pytest.mark.backend
@pytest.mark.skipif(keras.config.backend() != "jax", reason="others need no layout")
def test_variables_are_laid_out_and_back():
    variable = keras.Variable(np.arange(3, dtype=np.float32))
    every = keras.distribution.DataParallel(auto_shard_dataset=False)
    for distribution, layout in ((every, every.get_variable_layout(variable)), (None, None)):
        internals.lay_out([variable], distribution)
        assert repr(variable._layout) == repr(layout)  # which `assign` and `fit` place it by
        np.testing.assert_array_equal(variable.numpy(), np.arange(3))


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="others have no mirrors")
def test_variables_are_mirrored_and_back():
    import tensorflow

    strategy = tensorflow.distribute.MirroredStrategy(["CPU:0"])
    variable = keras.Variable(np.arange(3, dtype=np.float32))
    own = variable.value
    before = internals.mirror([variable], strategy)
    assert strategy.experimental_local_results(variable.value)[0] is not own
    strategy.run(lambda: variable.assign(variable + 1))  # of its device alone
    np.testing.assert_array_equal(own.numpy(), np.arange(3))
    internals.unmirror([variable], before)
    assert variable.value is own
    np.testing.assert_array_equal(own.numpy(), np.arange(3) + 1)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="others sum no gradients")
def test_an_optimizer_takes_summed_gradients(optimizer):
    scaling = keras.optimizers.LossScaleOptimizer(optimizer)
    assert len(optimizer._all_reduce_sum_gradients([(ops.ones(2), optimizer.variable)])) == 1
    internals.takes_summed_gradients(scaling)
    assert optimizer._all_reduce_sum_gradients([1]) == [1]
