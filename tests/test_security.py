"""What kerascnn never does, whoever hands it a file; docs/security.md says why."""

import ast
import gc
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import kerascnn
from kerascnn import InputError
from kerascnn.engine.data.sources.workers import Workers
from kerascnn.runtime.cache import cache_folder

ROOT = Path(kerascnn.__file__).parents[1]
FILES = sorted((ROOT / "kerascnn").rglob("*.py"))
FILES += [file for file in sorted((ROOT / "plugins").rglob("*.py")) if "tests" not in file.parts]

# Modules that run what is in the files that they read.
RUNNING = {"pickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "jsonpickle", "yaml"}
EXCEPT = {
    "kerascnn/runtime/workers.py",  # from this process to its own workers
    "kerascnn/engine/data/sources/workers.py",
    "kerascnn/engine/data/batches/host_augment.py",
    "kerascnn/testing/host_augmentations.py",
    "kerascnn/testing/sources.py",
    "kerascnn/runtime/background.py",  # from this process to one that it has started
    "kerascnn/run/cluster/relay.py",  # from a process that it has started, which knows a secret
    "kerascnn/tracking/models.py",  # it writes YAML, and reads none
    "plugins/kerascnn-efficientnet-lite/kerascnn_efficientnet_lite/torch_archive.py",  # see there
}


def name_of(file):
    return file.relative_to(ROOT).as_posix()


def nodes(file):
    return ast.walk(ast.parse(file.read_text("utf-8")))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_nothing_that_runs_code_reads_a_file(file):
    imported = set()
    for node in nodes(file):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
    assert not imported & RUNNING or name_of(file) in EXCEPT


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_safety_is_switched_off(file):
    for node in nodes(file):
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            assert function not in ("eval", "exec", "os.system", "joblib.load", "torch.load")
            assert "unsafe_deserialization" not in function
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            for key, unsafe in {
                "allow_pickle": "True",
                "safe_mode": "False",
                "shell": "True",
            }.items():
                assert given.get(key) != unsafe, f"{function}({key}={unsafe})"


def test_the_cache_is_the_user_s_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "a" / "cache"))
    folder = cache_folder("packed")
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_others_may_write_to_is_refused(tmp_path, monkeypatch):
    tmp_path.chmod(0o1777)  # as /tmp
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="is shared: other users may write to it"):
        cache_folder("packed")


def test_what_is_sent_to_workers_is_the_user_s_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("kerascnn.engine.data.sources.workers.WORTH_PROCESSES_SECONDS", -1)
    workers = Workers([(np.zeros((4, 4, 3), np.uint8), 0)])
    sent = workers._sent.folder / "pickled"
    assert sent.is_relative_to(tmp_path / "cache")
    assert sent.parent.stat().st_mode & 0o777 == 0o700
    del workers
    gc.collect()
    assert not sent.exists()


def network():
    import keras

    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3, name="d")(inputs))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The weights of a network in both kinds of HDF5 file, and what hostile ones would reach."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    folder, model = tmp_path_factory.mktemp("weights"), network()
    model.save_weights(folder / "a.weights.h5")
    with h5py.File(folder / "a.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = np.ones((4, 3), "float32")
    np.ones(12, "float32").tofile(folder / "secret.bin")
    return folder


def external_link(file, path, folder):
    import h5py

    file[path] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def external_data(file, path, folder):
    outside = [(str(folder / "secret.bin"), 0, 48)]
    file.create_dataset(path, shape=(4, 3), dtype="float32", external=outside)


def virtual_data(file, path, folder):
    import h5py

    layout = h5py.VirtualLayout((4, 3), "float32")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", shape=(4, 3))
    file.create_virtual_dataset(path, layout)


def soft_link(file, path, folder):
    import h5py

    file["elsewhere"] = np.ones((4, 3), "float32")
    file[path] = h5py.SoftLink("/elsewhere")


@pytest.mark.parametrize("attack", [external_link, external_data, virtual_data, soft_link])
@pytest.mark.parametrize(
    ("name", "kernel"), [("a.h5", "d/d/kernel"), ("a.weights.h5", "layers/dense/vars/0")]
)
def test_weights_that_point_out_of_their_file_are_refused(weights, tmp_path, attack, name, kernel):
    import h5py

    from kerascnn.components.builtin.architectures import _load

    hostile = Path(shutil.copy(weights / name, tmp_path))
    with h5py.File(hostile, "r+") as file:
        if name == "a.h5":
            kernel = f"d/{file['d'].attrs['weight_names'][0]}"
        del file[kernel]
        attack(file, kernel, weights)
    model = network()
    before = model.get_weights()
    with pytest.raises(InputError, match="Not allowed"):
        _load(model, hostile, "network")
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    _load(model, weights / name, "network")  # the honest one


def test_a_model_with_code_in_it_is_not_loaded(tmp_path):
    import keras

    from kerascnn.engine.network.saved import load_model

    marker = tmp_path / "ran"
    code = keras.layers.Lambda(lambda x, touch=os.mkdir, path=str(marker): (touch(path), x)[1])
    inputs = keras.Input((4,))
    folder = tmp_path / "model" / "data"
    folder.mkdir(parents=True)
    model = keras.Model(inputs, code(inputs))
    marker.rmdir()  # building it ran it
    model.save(folder / "model.keras")
    with pytest.raises(InputError, match=r"cannot be loaded: ValueError: .*(unsafe|Lambda)"):
        load_model(folder / "model.keras", ())
    assert not marker.exists()


def test_a_model_imports_no_module_of_its_own_choice(tmp_path, monkeypatch):
    import keras

    from kerascnn.engine.network.saved import load_model

    (tmp_path / "stranger.py").write_text("open(__file__ + '.ran', 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    layer = type("Layer", (keras.layers.Layer,), {"__module__": "stranger", "call": lambda _, x: x})
    inputs, file = keras.Input((4,)), tmp_path / "model.keras"
    keras.Model(inputs, layer()(inputs)).save(file)
    for recorded in ((), ("kerascnn.__main__",)):
        with pytest.raises(InputError, match="stranger is not part of an installed and allowed"):
            load_model(file, ("kerascnn-x 1.0",), recorded)
    assert not (tmp_path / "stranger.py.ran").exists()
