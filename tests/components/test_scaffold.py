"""What `kerascnn plugins new` writes: a package that works with no edit."""

import importlib
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from PIL import Image

import kerascnn
from kerascnn import InputError, load_experiment
from kerascnn.components.kinds import KINDS
from kerascnn.components.registry import load_registry
from kerascnn.components.scaffold import write_plugin
from kerascnn.testing import checks_of, find_subject

# in other processes, which do not know of what is installed for one test: of the slow tests
ELSEWHERE = {
    *("same_on_all_backends", "backends_agree", "imports_no_backend"),
    *("same_in_another_process", "sent_to_another_process", "hears_in_another_process"),
    "ends_with_this_process",
}
MARKS = {
    "architecture": pytest.mark.long,  # a network is trained
    "engine": pytest.mark.slow,  # a dozen processes are started
}


@pytest.fixture
def install(monkeypatch):
    """Puts a package's folder on the path, with the metadata that pip would write."""

    def install(folder):
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        [[name, module]] = project["entry-points"]["kerascnn"].items()
        metadata = folder / f"{module}-{project['version']}.dist-info"
        metadata.mkdir()
        (metadata / "entry_points.txt").write_text(f"[kerascnn]\n{name} = {module}\n")
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        monkeypatch.syspath_prepend(folder)
        importlib.invalidate_caches()
        modules.append(module)

    modules = []
    yield install
    for name in list(sys.modules):
        if name.partition(".")[0] in modules:
            del sys.modules[name]


def components_of(distribution):
    registry = load_registry()
    assert not registry.faults
    return [r for r in registry.unique if r.origin.distribution == distribution]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_found_and_named_after_the_package(run_cli, workplace, install, kind):
    answer = run_cli("plugins", "new", "kerascnn-Sea.green", "--kind", kind, "--into", "a b/c")
    folder = Path("a b/c/kerascnn-Sea.green")
    assert answer.exit_code == 0, answer.stderr
    *of_python, run = answer.stdout.splitlines()
    if named_by := KINDS[kind].command:
        assert run == f"kerascnn {' '.join(named_by)} sea_green"
        *of_python, run = of_python
    assert [line.partition(" -m ")[2] for line in of_python] == [
        f"pip install -e '{folder}[test]'",
        f"pytest '{folder}'",
    ]
    assert run == f"kerascnn run '{folder}/example.toml'"
    install(folder.absolute())
    names = [r.component.name for r in components_of("kerascnn-Sea.green")]
    assert names == ["sea_green", "sea_green_layer"][: 1 + (kind == "augmentation")]
    assert load_experiment(folder / "example.toml")
    assert (folder / "README.md").read_text().startswith("# kerascnn-Sea.green\n")
    written = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert not [file for file in written if "my_" in file.read_text() or "my-" in file.read_text()]
    assert not [file for file in written if "license" in file.name.lower()]


@pytest.mark.backend
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=MARKS.get(kind, ())) for kind in KINDS],
)
def test_what_is_written_keeps_the_contract(tmp_path, install, kind):
    install(write_plugin("kerascnn-fresh", kind, tmp_path))
    for registered in components_of("kerascnn-fresh"):
        subject = find_subject(kind, registered.component.name, {})
        for check in checks_of(kind):
            if check.name not in ELSEWHERE:
                outcome = check.run(subject)
                assert outcome.status != "failed", str(outcome)


@pytest.mark.long  # installs and trains in processes of its own
def test_a_run_records_the_package_and_is_used_again(workplace, install, monkeypatch, run_cli):
    folder = write_plugin("kerascnn-fresh", "architecture", workplace)
    install(folder)
    quick = ("--set", "dataset.train=24", "--set", "stages.0.epochs=1")
    ended = run_cli("run", folder / "example.toml", *quick, "--json")
    assert ended.exit_code == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["plugins"]["architecture fresh"] == "kerascnn-fresh 0.1.0"
    assert result["plugins"]["dataset shapes"] == f"kerascnn {kerascnn.__version__}"
    assert result["experiment"]["architecture"] == {
        "name": "fresh",
        "depth": 3,
        "filters": 16,
        "dropout": 0.0,
    }
    assert result["modules"] == ["kerascnn_fresh.layers"]
    requirements = next(workplace.glob("kerascnn-runs/*/model/requirements.txt")).read_text()
    assert "kerascnn-fresh==0.1.0" in requirements
    data = tracked(result["run_id"])
    assert data.tags["plugin.architecture fresh"] == "kerascnn-fresh 0.1.0"
    assert data.params["architecture.filters"] == "16"
    image = workplace / "red.png"
    Image.new("RGB", (32, 32), "red").save(image)
    predict = [sys.executable, "-m", "kerascnn", "predict", "last", str(image), "--json"]
    path = os.pathsep.join([str(folder), str(Path(kerascnn.__file__).parents[1])])
    done = subprocess.run(  # a process that has not seen the package's layer
        predict, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"][0]["label"] in result["class_names"]
    done = subprocess.run(
        [*predict, "--allow-plugins", "kerascnn"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "not part of an installed and allowed plugin" in done.stderr
    assert "kerascnn-fresh 0.1.0" in done.stderr


def tracked(run_id):
    import mlflow

    store = f"sqlite:///{Path('mlflow.db').absolute()}"  # MLflow knows a relative one from before
    return mlflow.MlflowClient(store).get_run(run_id).data


WRONG = {
    "path": ("../fresh", "is not a valid package name"),
    "hyphen": ("-fresh", "is not a valid package name"),
    "blank": ("a fresh one", "is not a valid package name"),
    "digit": ("kerascnn-3d", 'would make the component "3d"'),
    "keyword": ("class", 'the module "class"'),
    "kerascnn": ("kerascnn", 'the module "kerascnn"'),
    "standard library": ("json", 'there is already a module "json"'),
    "installed": ("click", 'there is already a module "click"'),
    "taken": ("kerascnn-cosine", 'already has the schedule "cosine"'),
}


@pytest.mark.parametrize(("name", "said"), WRONG.values(), ids=WRONG)
def test_a_name_that_cannot_be_used_is_refused(tmp_path, name, said):
    with pytest.raises(InputError, match=r"choose|use letters") as caught:
        write_plugin(name, "schedule", tmp_path)
    assert said in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_not_overwritten(run_cli, workplace):
    (workplace / "kerascnn-fresh").mkdir()
    answer = run_cli("plugins", "new", "kerascnn-fresh", "--kind", "dataset")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == (
        "kerascnn-fresh exists; choose another name, or another folder with --into.\n"
    )
    assert not list((workplace / "kerascnn-fresh").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_pip_installs_it_and_everything_passes(tmp_path, kind):
    """Needs a network, or a cache of pip's: the build backend is fetched."""
    folder = write_plugin("kerascnn-fresh", kind, tmp_path)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    [site] = (tmp_path / "venv").glob("lib/python*/site-packages")
    here = sysconfig.get_paths()["purelib"]
    (site / "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")

    def python(*arguments):
        done = subprocess.run(
            [tmp_path / "venv" / "bin" / "python", "-m", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "KERASCNN_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    python("pip", "install", "-q", "-e", f"{folder}[test]")
    assert "fresh" in python("kerascnn", "plugins", "--allow-plugins", "kerascnn-fresh")
    python("kerascnn", "plugins", "check", "fresh")
    assert " passed" in python("pytest", folder)
    python("kerascnn", "run", folder / "example.toml")
