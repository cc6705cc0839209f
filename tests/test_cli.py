"""The command line: exit codes, one message a fault, one document a --json."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

from kerascnn import cli, load_experiment
from kerascnn.cli.tables import plugins as plugin_tables
from kerascnn.components.registry import load_registry
from kerascnn.experiment.bound import bind_experiment
from kerascnn.run.init import recipes
from kerascnn.runtime.cache import cache_folder, cached
from kerascnn.runtime.rows.store import RowStore

COMMAND = "import sys; sys.argv[0] = 'kerascnn'; from kerascnn.cli import main; main()"


def kerascnn(*arguments, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def photos(workplace):
    """A folder of 12 noise images in each of two classes."""
    random = np.random.default_rng(0)
    for name in ("daisy", "rose"):
        (workplace / "my photos.v2" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 255, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(workplace / "my photos.v2" / name / f"{number}.png")
    return workplace / "my photos.v2"


@pytest.mark.parametrize("group", [(), ("plugins",), ("runs",), ("cache",)])
def test_no_summary_of_a_command_is_cut_at_80_columns(run_cli, monkeypatch, group):
    monkeypatch.setenv("COLUMNS", "80")
    listed = run_cli(*group, "--help").stdout.partition("Commands:")[2]
    assert listed
    assert "..." not in listed


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_asking_for_help_succeeds(run_cli, option):
    answer = run_cli(option)
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert "kerascnn" in answer.stdout


@pytest.mark.parametrize("command", list(cli.cli.commands))
def test_every_command_explains_itself(run_cli, command):
    answer = run_cli(command, "--help")
    assert answer.exit_code == 0
    assert len(cli.cli.commands[command].help) > 20


WRONG = {
    "command": (["rum"], "No such command 'rum'"),
    "no file": (["run"], "Missing argument 'FILE'"),
    "option": (["run", "a.toml", "--epochs", "3"], "No such option"),
    "backend": (["run", "a.toml", "--backend", "theano"], "'theano' is not one of 'tensorflow'"),
    "kind": (["plugins", "--kind", "network"], "'network' is not one of 'dataset'"),
    "missing file": (["run", "a.toml"], "cannot read a.toml: No such file or directory."),
    "no value": (["run", "shapes.toml", "--set", "seed"], "--set seed: expected KEY=VALUE"),
    "no place": (["check", "shapes.toml", "--set", "stages.9.epochs=1"], "--set stages.9.epochs: "),
    "no run": (["predict", "last", "a.png"], "no finished run in"),
    "an image without a run": (
        ["predict", "shapes.toml"],
        "Missing RUN: kerascnn predict last shapes.toml.",
    ),
    "images without a run": (
        ["predict", "shapes.toml", "b c.png"],
        "Missing RUN: kerascnn predict last shapes.toml 'b c.png'. RUN is a run's id",
    ),
    "a run without an image": (
        ["visualize", "last"],
        "Missing IMAGES: kerascnn visualize last IMAGE.",
    ),
    "no run to evaluate": (["evaluate", "last", "--data", "x"], "no finished run in"),
    "no run to compare": (["compare", "last"], "no finished run in"),
    "nothing to write": (["init"], "give a folder of images, or --recipe NAME"),
    "no folder": (["init", "nowhere"], 'there is no folder "nowhere"'),
    "no recipe": (["init", "--recipe", "flower"], 'no recipe "flower". Did you mean "flowers"?'),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_wrong_input_is_one_message_and_code_2(run_cli, shapes_file, arguments, said):
    answer = run_cli(*arguments)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def test_debug_adds_the_traceback_and_keeps_the_code(run_cli, workplace):
    answer = run_cli("run", "a.toml", "--debug")
    assert answer.exit_code == 2
    assert "Traceback" in answer.stderr
    assert answer.stderr.endswith("cannot read a.toml: No such file or directory.\n")


def test_a_failure_of_our_own_is_code_1(run_cli, shapes_file, monkeypatch):
    monkeypatch.setattr("kerascnn.experiment.load.read_toml", lambda path: 1 / 0)
    answer = run_cli("check", "shapes.toml")
    assert answer.exit_code == 1
    assert answer.stderr == (
        "ZeroDivisionError: division by zero\nRun it again with --debug for the traceback.\n"
    )
    assert "in <lambda>" in run_cli("check", "shapes.toml", "--debug").stderr


PLUGIN = """
import os, signal
if os.environ.get("INTERRUPT"):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    os.kill(os.getpid(), signal.SIGINT)
raise ImportError("broken for good")
"""


@pytest.fixture
def broken_plugin(tmp_path):
    """A folder for PYTHONPATH with a plugin that does not load."""
    metadata = tmp_path / "site" / "kerascnn_bad-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kerascnn-bad\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[kerascnn]\nbad = kerascnn_bad\n")
    (tmp_path / "site" / "kerascnn_bad.py").write_text(PLUGIN)
    return tmp_path / "site"


def test_a_broken_plugin_is_shown_by_a_real_process(broken_plugin, workplace):
    ended = kerascnn("plugins", PYTHONPATH=f"{broken_plugin}:{os.environ.get('PYTHONPATH', '')}")
    assert ended.returncode == 0, ended.stderr
    assert "kerascnn-bad 1.0   importing kerascnn_bad: ImportError: broken for good" in ended.stdout


def test_an_interrupt_is_code_130(broken_plugin, workplace):
    path = f"{broken_plugin}:{os.environ.get('PYTHONPATH', '')}"
    ended = kerascnn("plugins", PYTHONPATH=path, INTERRUPT="1")
    assert (ended.returncode, ended.stderr.strip()) == (130, "interrupted")


NO_BACKEND = """
import importlib.machinery as machinery

BACKENDS = {"tensorflow", "jax", "torch"}
find_spec = machinery.PathFinder.find_spec

def find_no_backend(name, path=None, target=None):
    return None if name.partition(".")[0] in BACKENDS else find_spec(name, path, target)

machinery.PathFinder.find_spec = find_no_backend
"""
COMMANDS = """
import contextlib, io, json, sys
from kerascnn import cli

answers = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["kerascnn", *arguments]
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            cli.main()
        except SystemExit as ended:
            answers.append([ended.code, said.getvalue()])
print(json.dumps(answers))
"""


def test_without_a_backend_one_message_says_what_to_install(shapes_file, photos):
    (photos.parent / "kerascnn-runs" / "abc").mkdir(parents=True)
    (photos.parent / "kerascnn-runs" / "abc" / "result.json").write_text(json.dumps(RESULT))
    image = str(photos / "rose" / "0.png")
    commands = [
        ["run", "shapes.toml"],
        ["check", "shapes.toml"],
        ["predict", "last", image],
        ["evaluate", "last", "--data", str(photos)],
        ["run", "shapes.toml", "--backend", "torch"],
    ]
    ended = subprocess.run(
        [sys.executable, "-c", NO_BACKEND + COMMANDS, json.dumps(commands)],
        env={key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"},
        capture_output=True,
        text=True,
        check=False,
    )
    *unnamed, named = json.loads(ended.stdout)
    for code, message in unnamed:
        assert code == 2
        assert message.startswith("no backend is installed: `")
        assert "-m pip install 'kerascnn[tensorflow]'`" in message
        assert len(message.splitlines()) == 1
    code, message = named
    assert code == 2
    assert message.startswith("the backend torch is not installed: `")
    assert message.endswith("-m pip install 'kerascnn[torch]'` installs it.\n")


RESULT = {
    "run_id": "abc",
    "name": "photos",
    "backend": "tensorflow",
    "test_accuracy": 1.0,
    "test_accuracy_interval": [0.9, 1.0],
    "test": {},
    "stages": [],
    "class_names": ["daisy", "rose"],
    "parameters": 1,
    "seconds": 1.0,
    "data_seconds": 0.1,
    "data": {},
    "experiment": {
        "dataset": {"name": "image_folder", "path": "photos", "follow_links": False},
        "training": {"image_size": 16, "resize": "crop", "batch_size": 8},
    },
    "plugins": {},
    "artifacts": "",
}


@pytest.mark.parametrize(
    "arguments",
    [
        ["plugins"],
        ["plugins", "list", "--kind", "schedule"],
        ["compare"],
        ["check", "shapes.toml"],
        ["cache", "list"],
        ["cache", "clear"],
        ["runs", "list"],
    ],
)
def test_json_is_one_document_and_nothing_else(run_cli, shapes_file, arguments):
    answer = run_cli(*arguments, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout) is not None


def test_the_schema_is_one_document(run_cli):
    assert json.loads(run_cli("schema").stdout)["title"] == "Experiment"


def test_check_tells_what_each_stage_would_do(run_cli, shapes_file):
    document = json.loads(run_cli("check", shapes_file, "--json").stdout)
    (stage,) = document["stages"]
    assert (stage["name"], stage["steps"], stage["unfreeze"]) == ("scratch", 2, "all")
    shown = run_cli("check", shapes_file).stdout
    assert f"{stage['trainable_parameters']:,}" in shown


def test_check_warns_of_a_stage_that_needs_more_memory_than_there_is(
    run_cli, shapes_file, monkeypatch
):
    monkeypatch.setattr("kerascnn.engine.training.memory.device_bytes", lambda: 3000)
    told = run_cli("check", shapes_file).stderr
    assert "stage scratch: 8 images at once may need" in told


def test_run_adds_observers_that_the_file_does_not_have(run_cli, shapes_file, monkeypatch):
    ran = []
    monkeypatch.setenv("KERASCNN_COMMAND", "true")
    monkeypatch.setattr(
        "kerascnn.run.experiment.run_experiment", lambda bound, *_, **__: ran.append(bound)
    )
    shapes_file.write_text(
        shapes_file.read_text() + '[[observers]]\nname = "command"\non = ["epoch"]\n'
    )
    monkeypatch.setenv("KERASCNN_WEBHOOK_URL", "http://127.0.0.1/")
    options = (
        "--observer",
        "command",
        "--observer",
        "webhook",
        "--set",
        "observers.webhook.key=content",
    )
    assert run_cli("run", shapes_file, *options).exit_code == 0
    [command, webhook] = ran[0].observers
    assert (command.name, command.params.on) == ("command", ("epoch",))
    assert (webhook.name, webhook.params.key) == ("webhook", "content")


def test_overrides_are_toml_or_else_text(run_cli, shapes_file, monkeypatch):
    seen = {}

    def load(path, values, registry, warn, observers):
        seen.update(values)

    monkeypatch.setattr("kerascnn.experiment.load.load_experiment", load)
    values = ["seed=3", "a.b=[1, 2]", "c=torch", 'd="3"', "e = 1e-3", "f={ name = 'x' }", "g=a=b"]
    run_cli("lr-find", "x.toml", "--backend", "jax", *(f"--set={value}" for value in values))
    assert seen == {
        "seed": 3,
        "a.b": [1, 2],
        "c": "torch",
        "d": "3",
        "e": 1e-3,
        "f": {"name": "x"},
        "g": "a=b",
        "training.backend": "jax",
    }


def test_doctor_finds_the_cache_and_the_backend(run_cli, workplace):
    answer = run_cli("doctor", "--json")
    findings = json.loads(answer.stdout)
    assert answer.exit_code == (1 if findings["problems"] else 0)
    assert str(workplace.parent / "cache") in findings["cache"]
    assert findings["device"].partition(" on ")[0] in findings["backends"]


@pytest.fixture
def held(workplace):
    """A cache with two entries and a download."""
    for kind, key, about in [
        ("packed", "aa", "9 roses [sic]"),
        ("activations", "bb", "of 9 roses"),
    ]:
        cached(kind, key, about, lambda folder: (folder / "x").write_text("x" * 10**6), len_of_x)
    (cache_folder("downloads") / "roses.tgz").write_text("x" * 10**6)
    (workplace.parent / "cache" / "databases").unlink()
    return workplace.parent / "cache"


def len_of_x(folder):
    return len((folder / "x").read_text())


def test_the_cache_is_listed_the_last_used_first(run_cli, held):
    lines = run_cli("cache", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["downloads", "activations", "packed"]
    for words in ("9 roses [sic]", "of 9 roses", "roses.tgz", f"{held} holds 3.0 MB", "limit"):
        assert any(words in line for line in lines)
    document = json.loads(run_cli("cache", "list", "--json").stdout)
    assert {entry["key"] for entry in document["entries"]} == {"aa", "bb", "roses.tgz"}
    assert document["bytes"] == sum(entry["bytes"] for entry in document["entries"]) > 3_000_000
    assert document["folder"] == str(held)


def test_activations_of_a_network_are_one_line(run_cli, workplace):
    def make(claims):
        yield from ((rows, {"values": np.zeros(len(rows))}) for rows in claims)

    digests = np.random.default_rng(0).integers(0, 256, (1600, 32), np.uint8)

    def hold(key, about):
        store = RowStore("activations", key, about, {"values": (np.dtype(np.float32), ())})
        store.fill(digests, make, 800)

    for what in ("images", "view 1 of light", "view 2 of light"):
        hold(what, f"vgg16 up to block5: {what}")
    for key in ("first", "second"):
        hold(key, "roses: outputs of a trained network")
    cached("activations", "aa", "vgg16 up to block5: overflow", lambda _: None, lambda _: None)
    lines = [line.rstrip() for line in run_cli("cache", "list").stdout.splitlines()]
    assert any(line.endswith("roses: outputs of 2 trained networks") for line in lines)
    of_network = [line for line in lines if "vgg16" in line]
    assert [line.split("vgg16")[1] for line in of_network] == [
        " up to block5: overflow",
        " up to block5: images and 2 views",
    ]
    assert of_network[1].split()[:2] == ["activations", "4,800"]
    entries = json.loads(run_cli("cache", "list", "--json").stdout)["entries"]
    assert [entry["rows"] for entry in entries if entry["key"] == "view 2 of light"] == [1600]


def test_the_cache_is_cleared_of_one_kind_or_of_all(run_cli, held):
    assert run_cli("cache", "clear", "--kind", "packed").stdout == "removed 1 entry, 1.0 MB\n"
    cleared = json.loads(run_cli("cache", "clear", "--json", "--yes").stdout)
    assert {entry["kind"] for entry in cleared["removed"]} == {"activations", "downloads"}
    assert json.loads(run_cli("cache", "list", "--json").stdout)["entries"] == []
    assert "holds nothing" in run_cli("cache", "list").stdout


def test_downloads_are_removed_only_once_that_is_confirmed(run_cli, held, monkeypatch):
    answer = run_cli("cache", "clear")
    assert answer.stdout == "removed 2 entries, 2.0 MB\n"
    assert (
        answer.stderr == "kept 1 download (1.0 MB); use --yes to remove downloads without asking\n"
    )
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert run_cli("cache", "clear", "--kind", "downloads").stdout == "removed 0 entries, 0.0 MB\n"
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    asked = run_cli("cache", "clear")
    assert "Also remove 1 download (1.0 MB), to be" in asked.stderr
    assert asked.stdout == "removed 1 entry, 1.0 MB\n"


class Terminal(io.StringIO):
    """Standard input of a person, who answers."""

    def isatty(self):
        return True


def test_a_wrong_limit_of_the_cache_is_said(run_cli, workplace, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE_LIMIT_GB", "plenty")
    answer = run_cli("cache", "list")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "LIMIT_GB=plenty: expected a number of gigabytes above 0" in answer.stderr


def test_doctor_names_a_cache_folder_that_cannot_be(run_cli, workplace, monkeypatch):
    (workplace / "file").write_text("")
    monkeypatch.setenv("KERASCNN_CACHE", str(workplace / "file" / "cache"))
    answer = run_cli("doctor", "--json")
    assert answer.exit_code == 1
    assert "cannot write to the cache folder" in json.loads(answer.stdout)["problems"][0]


def test_init_writes_an_experiment_beside_the_folder(run_cli, photos):
    answer = run_cli("init", photos.name, "--architecture", "sequential_cnn")
    file = photos.parent / "my photos.v2.toml"
    assert (answer.exit_code, answer.stdout) == (0, "kerascnn run 'my photos.v2.toml'\n")
    assert "24 images of 2 classes (daisy, rose)" in answer.stderr
    experiment = load_experiment(file)
    assert experiment.name == "my photos.v2"
    assert experiment.settings.dataset.params == {"path": "my photos.v2", "test_fraction": 0.2}
    assert experiment.settings.architecture.params == {}
    assert not any(str(stage.unfreeze).startswith("last:") for stage in experiment.settings.stages)
    assert run_cli("check", file).exit_code == 0


def test_what_init_writes_runs_from_anywhere(run_cli, photos, tmp_path, monkeypatch):
    assert run_cli("init", photos, "--architecture", "sequential_cnn").exit_code == 0
    (tmp_path / "moved").mkdir()
    for written in (photos, photos.parent / "my photos.v2.toml"):
        written.rename(tmp_path / "moved" / written.name)
    monkeypatch.chdir("/")
    assert run_cli("check", tmp_path / "moved" / "my photos.v2.toml").exit_code == 0


def test_init_names_what_cannot_be_read_and_what_is_ignored(run_cli, photos):
    (photos / "rose" / "broken.png").write_bytes(b"no image")
    (photos / "rose" / "notes.txt").touch()
    told = " ".join(run_cli("init", photos, "--architecture", "sequential_cnn").stderr.split())
    assert "ignored: 1 .txt files" in told
    assert "rose/broken.png: " in told
    assert "--set training.on_bad_image=skip" in told
    assert "24 images of 2 classes" in told


def test_init_weights_uneven_classes_in_every_stage_and_says_why(run_cli, photos):
    for number in range(4, 12):
        (photos / "rose" / f"{number}.png").unlink()
    answer = run_cli("init", photos, "--architecture", "resnet50")
    file = photos.parent / "my photos.v2.toml"
    stages = load_experiment(file).settings.stages
    assert [stage.class_weights for stage in stages] == ["balanced", "balanced"]
    why = "because daisy has 8 training images, rose 2"
    assert f'class_weights = "balanced", {why}' in answer.stderr
    assert file.read_text().count(why) == 2


def test_init_keeps_a_larger_share_of_few_images_to_test_by(run_cli, photos):
    answer = run_cli("init", photos, "--architecture", "sequential_cnn")
    assert "test_fraction = 0.2, because a tenth of so few images" in answer.stderr
    (photos / "test").mkdir()
    (photos / "train").mkdir()
    for name in ("daisy", "rose"):
        (photos / name).rename(photos / "train" / name)
        (photos / "test" / name).mkdir()
        (photos / "train" / name / "0.png").rename(photos / "test" / name / "0.png")
    answer = run_cli("init", photos, "--architecture", "sequential_cnn", "--force")
    assert "test_fraction" not in answer.stderr + (photos.parent / "my photos.v2.toml").read_text()


@pytest.mark.parametrize(
    ("architecture", "stages"), [("sequential_cnn", ["scratch"]), ("vgg16", ["head", "finetune"])]
)
def test_init_takes_the_recipe_for_the_kind_of_network(run_cli, photos, architecture, stages):
    answer = run_cli("init", photos, "--architecture", architecture)
    assert answer.exit_code == 0
    missing = "the weights of vgg16 are not on this machine; the run takes them from https://"
    assert (missing in answer.stderr) is (architecture == "vgg16")
    experiment = load_experiment(photos.parent / "my photos.v2.toml")
    assert [stage.name for stage in experiment.stages] == stages
    assert experiment.architecture.name == architecture


@pytest.mark.parametrize(
    ("architecture", "size", "written"),
    [("xception", 299, 260), ("mobilenet", 224, 224)],
)
def test_init_takes_few_images_at_the_size_of_the_weights(
    run_cli, photos, architecture, size, written
):
    answer = run_cli("init", photos, "--architecture", architecture)
    settings = load_experiment(photos.parent / "my photos.v2.toml").settings
    assert settings.training.image_size == written
    why = f"because the weights were trained on {size} pixels"
    assert f"image_size = {written}, {why}" in answer.stderr


def test_init_keeps_the_size_of_the_recipe_for_many_images(run_cli, photos, monkeypatch):
    monkeypatch.setattr("kerascnn.run.adapt.MANY_IMAGES", 10)
    assert run_cli("init", photos, "--architecture", "vgg16").exit_code == 0
    settings = load_experiment(photos.parent / "my photos.v2.toml").settings
    assert settings.training.image_size == 160


def test_init_trains_the_head_for_as_many_steps_on_few_images(run_cli, photos, monkeypatch):
    monkeypatch.setattr("kerascnn.run.adapt.HEAD_STEPS", 20)
    answer = run_cli("init", photos, "--architecture", "vgg16")
    head, finetune = load_experiment(photos.parent / "my photos.v2.toml").settings.stages
    assert (head.epochs, finetune.epochs) == (20, 8)
    assert "epochs = 20, because an epoch has only 1 step" in answer.stderr


def test_init_overwrites_nothing_unless_forced(run_cli, photos):
    file = photos.parent / "my photos.v2.toml"
    file.write_text("mine")
    arguments = ("init", photos, "--architecture", "sequential_cnn")
    answer = run_cli(*arguments)
    assert (answer.exit_code, answer.stderr) == (
        2,
        f"{file} already exists; --force overwrites it.\n",
    )
    assert file.read_text() == "mine"
    assert run_cli(*arguments, "--force").exit_code == 0
    assert tomllib.loads(file.read_text())["architecture"] == {"name": "sequential_cnn"}


@pytest.mark.parametrize("folder", [".", "../my photos.v2/", "rose/.."])
def test_init_of_a_folder_by_another_name(run_cli, photos, monkeypatch, folder):
    monkeypatch.chdir(photos)
    assert run_cli("init", folder, "--architecture", "sequential_cnn").exit_code == 0
    file = photos.parent / "my photos.v2.toml"
    assert load_experiment(file).name == "my photos.v2"


def test_init_names_the_experiment_in_plain_letters(run_cli, photos):
    folder = photos.rename(photos.parent / "Blümchen, Spätsommer")
    assert run_cli("init", folder, "--architecture", "sequential_cnn").exit_code == 0
    file = photos.parent / "Blümchen, Spätsommer.toml"
    assert load_experiment(file).name == "Blumchen- Spatsommer"


def test_init_of_a_folder_of_links(run_cli, photos):
    linked = photos.parent / "linked"
    linked.mkdir()
    for folder in photos.iterdir():
        (linked / folder.name).symlink_to(folder)
    arguments = ("init", linked, "--architecture", "sequential_cnn")
    refused = run_cli(*arguments)
    assert (refused.exit_code, linked.with_suffix(".toml").exists()) == (2, False)
    assert "for init, --follow-links" in refused.stderr
    answer = run_cli(*arguments, "--follow-links")
    assert "24 images of 2 classes (daisy, rose)" in answer.stderr
    assert run_cli("check", linked.with_suffix(".toml")).exit_code == 0


def test_init_of_a_folder_with_a_table_of_labels(run_cli, photos):
    """The command that the refusal prints works."""
    flat = photos.parent / "flat folder"
    (flat / "train").mkdir(parents=True)
    rows = ["id,species"]
    for file in photos.rglob("*.png"):
        rows.append(f"{file.parent.name}{file.stem},{file.parent.name}")
        file.rename(flat / "train" / f"{file.parent.name}{file.name}")
    (flat / "train.csv").write_text("\n".join(rows))
    (flat / "sample_submission.csv").write_text("id,species")
    refused = run_cli("init", flat)
    assert refused.exit_code == 2
    [command] = re.findall("`kerascnn (.*?)`", refused.stderr)
    answer = run_cli(*shlex.split(command), "--architecture", "sequential_cnn")
    assert "24 images of 2 classes (daisy, rose)" in answer.stderr
    assert 'labels = "train.csv"' in flat.with_suffix(".toml").read_text()


def test_init_refuses_an_architecture_that_is_not_there(run_cli, photos):
    answer = run_cli("init", photos, "--architecture", "vgg61")
    assert answer.exit_code == 2
    assert 'architecture.name = "vgg61": unknown architecture. Did you' in answer.stderr
    assert not photos.with_suffix(".v2.toml").exists()


@pytest.mark.parametrize("name", recipes())
def test_init_writes_each_recipe(run_cli, workplace, name):
    assert name in run_cli("init", "--recipe", "list").stdout.splitlines()
    answer = run_cli("init", "--recipe", name, "--architecture", "resnet50")
    assert answer.exit_code == 0, answer.stderr
    written = tomllib.loads((workplace / f"{name}.toml").read_text())
    assert bind_experiment(written, load_registry()).architecture.name == "resnet50"


def test_check_downloads_nothing_and_says_what_run_would(run_cli, shapes_file):
    network = ("--set", "architecture={ name = 'mobilenet_v2' }", "--set", "training.image_size=32")
    answer = run_cli("check", shapes_file, *network)
    assert answer.exit_code == 2
    file = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    assert f'"{file}" (about 9.0 MB) would be downloaded from https://' in answer.stderr
    assert f"`kerascnn check {shapes_file} --download` downloads it now" in answer.stderr
    assert not list(cache_folder("downloads").glob(f"{file}*"))


@pytest.mark.parametrize("name", recipes())
def test_any_recipe_serves_a_folder(run_cli, photos, name):
    answer = run_cli("init", photos, "--recipe", name, "--architecture", "vgg16")
    assert answer.exit_code == 0, answer.stderr
    experiment = load_experiment(photos.parent / "my photos.v2.toml")
    assert experiment.dataset.name == "image_folder"
    assert experiment.name == "my photos.v2"


def shown(show, *arguments, width):
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        show(console, *arguments)
    lines = capture.get().splitlines()
    assert all(cell_len(line) <= width for line in lines)
    return lines


@pytest.mark.parametrize("width", [80, 120])
def test_the_components_fit_the_terminal(width, registry):
    lines = shown(plugin_tables.show_plugins, registry, None, width=width)
    assert "…" not in "".join(lines)
    assert all(line.strip() for line in lines)
    for registered in registry.unique:
        assert any(line.startswith(f"  {registered.component.name} ") for line in lines)


def test_piped_components_take_a_line_each(run_cli, workplace):
    registry = load_registry()
    lines = run_cli("plugins", "--kind", "architecture").stdout.splitlines()
    assert len(lines) == 1 + len(list(registry.of_kind("architecture")))
