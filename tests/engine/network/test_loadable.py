"""A network that no other process could load is refused before it is trained."""

import keras
import pytest
from keras import layers

from kerascnn import Component, Network, PluginError, classifier_head
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.engine.network.build import build_network
from kerascnn.engine.network.loadable import modules_to_import, require_loadable
from kerascnn.engine.network.saved import modules_in
from kerascnn.runtime.cache import entries

FILES = {
    "third/__init__.py": "",
    "third/layers.py": "import keras\nclass Doubled(keras.Layer):\n    def call(self, x):\n"
    "        return 2 * x\n",
    "site_plugin/__init__.py": "",
    "site_plugin/register.py": "from keras.saving import register_keras_serializable\n"
    "from third.layers import Doubled\nregister_keras_serializable('site')(Doubled)\n",
    "third-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: third\nVersion: 1.0\n",
    "kerascnn_site-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: kerascnn-site\n"
    "Version: 1.0\nRequires-Dist: kerascnn\nRequires-Dist: third>=1; python_version > '3'\n",
    "kerascnn_site-1.0.dist-info/entry_points.txt": "[kerascnn]\nsite = site_plugin\n",
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A plugin that registers a layer of a package that it requires."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def require(layer=None, modules=(), package="kerascnn-site"):
    def build(params, *, image_size, num_classes):
        images = keras.Input((image_size, image_size, 3))
        x = layers.Conv2D(4, 3, name="stem_conv")(images)
        x = layer(x) if layer else x
        model = keras.Model(images, classifier_head(x, num_classes))
        return Network(model, {"stem": ["*"]}, modules=modules)

    origin = Origin("site", package, "1.0")
    bound = RegisteredComponent(Component("tiny", build), "architecture", origin).bind({})
    network = build_network(bound, image_size=8, num_classes=3)
    require_loadable(network, bound)
    return modules_to_import(network)


@pytest.mark.usefixtures("workplace")
def test_keras_s_own_layers_need_no_other_process():
    assert require(package="kerascnn") == []
    assert not entries(["networks"])
    for _ in range(2):
        assert require(layers.ReLU(name="stem_relu")) == []
    assert [e.about for e in entries(["networks"])] == [
        'architecture "tiny" of kerascnn-site 1.0 can be loaded'
    ]


@pytest.mark.long  # a new process takes seconds
@pytest.mark.usefixtures("workplace", "site")
def test_what_another_module_registers_is_loaded_if_that_is_named():
    from site_plugin import register

    doubled = register.Doubled(name="stem_doubled")
    with pytest.raises(
        PluginError, match=r"locate class 'Doubled'\. If the class .*modules="
    ) as no:
        require(doubled)
    assert "the run would be lost" in str(no.value)
    assert not entries(["networks"])
    named = ("site_plugin.register",)
    assert require(doubled, named) == ["site_plugin.register", "third.layers"]


@keras.saving.register_keras_serializable("test_loadable")
def swish(x):
    return x * keras.ops.sigmoid(x)


def test_the_module_of_a_registered_function_is_found():
    """Keras does not name it."""
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(3, activation=swish)(x))
    assert modules_in(keras.saving.serialize_keras_object(model)) == {__name__}


@pytest.mark.usefixtures("workplace")
def test_what_cannot_be_saved_is_refused_at_once():
    class Forgetful(layers.Layer):
        def __init__(self, values):
            super().__init__()

        def call(self, inputs):
            return inputs

    with pytest.raises(PluginError, match=r"the run would be lost: NotImplementedError"):
        require(Forgetful(object()))
    with pytest.raises(PluginError, match="it has a lambda, whose code is not run from a file"):
        require(layers.Lambda(lambda x: x))
