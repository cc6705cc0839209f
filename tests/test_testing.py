"""The conformance kit: right components pass, and each check catches one that breaks its rule."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kerascnn import hookspecs
from kerascnn.components.kinds import KINDS
from kerascnn.components.registry import load_registry
from kerascnn.errors import InputError, SourceError
from kerascnn.runtime.backend import installed_backends
from kerascnn.testing import (
    architectures,
    checks_of,
    engines,
    find_subject,
    observers,
    training,
)
from kerascnn.testing.checks import explain

# Which check catches which fault of tests/suspects.py, and with what parameters beside it.
FAULTS = {
    "dataset": [
        ("builds", "dictionary", {}),
        ("lengths", "empty_split", {}),
        ("lengths", "no_label", {}),
        ("class_names", "one_name_twice", {}),
        ("images", "floats", {}),
        ("images", "undecodable", {}),
        ("labels_within_classes", "label_too_large", {}),
        ("labels_within_classes", "label_is_text", {}),
        ("same_for_a_seed", "unseeded", {}),
        ("same_in_another_process", "other_in_each_process", {}),
        ("same_in_another_process", "fingerprint_of_this_process", {}),
        ("splits_are_disjoint", "splits_overlap", {}),
        ("read_by_threads", "bound_to_its_thread", {}),
        ("read_by_threads", "one_place_for_all", {}),
        ("many_at_once", "many_in_its_own_order", {}),
        ("sent_to_another_process", "bound_to_its_thread", {}),
        ("sent_to_another_process", "locked", {}),
        ("images_show_something", "black", {}),
        ("images_show_something", "one_colour", {}),
        ("classes_in_use", "one_class", {}),
        ("no_near_copies", "brightened_copies", {}),
        ("builds_lazily", "in_memory", {}),
        ("builds_lazily", "decodes_all", {"path": "images"}),
        ("fingerprint_is_stable", "fingerprint_anew", {}),
        ("fingerprint_is_stable", "fingerprint_of_reads", {}),
        ("fingerprint_is_sensitive", "fingerprint_without_shade", {}),
        ("fingerprint_is_sensitive", "fingerprint_of_names", {"path": "images"}),
    ],
    "augmentation": [
        ("builds", "function", {}),
        ("draws_for_each_image", "draws_once", {}),
        ("keeps_shape_and_dtype", "crops", {}),
        ("keeps_shape_and_dtype", "half_precision", {}),
        ("keeps_shape_and_dtype", "forgets_labels", {}),
        ("keeps_the_range", "unclipped", {}),
        ("labels_sum_to_one", "labels_added", {}),
        ("labels_go_with_images", "labels_rolled", {}),
        ("labels_go_with_images", "mixes_images_alone", {}),
        ("labels_go_with_images", "mixes_the_other_way", {}),
        ("leaves_something_to_see", "blackens", {}),
        ("treats_each_image_alone", "mixes_in_apply", {}),
        ("treats_each_image_alone", "labels_rolled", {}),
        ("mixes_inputs_of_any_shape", "mixes_maps_alone", {"mixes": True}),
        ("mixes_inputs_of_any_shape", "forgets_axes", {"mixes": True}),
        ("labels_go_with_inputs", "mixes_inputs_alone", {"mixes": True}),
        ("same_for_a_seed", "global_generator", {}),
        ("differs_between_calls", "own_generator", {}),
        ("identity_off_training", "never_calm", {"layer": True}),
        ("leaves_its_arguments", "stateful", {}),
        ("train_step_stays_jitted", "other_shapes", {}),
        ("same_on_all_backends", "backends_differ", {}),
        ("images_a_second", "forgets_labels", {}),
        ("augments_one_image", "crops", {"host": True}),
        ("augments_one_image", "floats", {"host": True}),
        ("leaves_its_image", "in_place", {"host": True}),
        ("changes_images", "no_change", {"host": True}),
        ("changes_images", "own_generator", {"host": True}),
        ("draws_only_from_its_generator", "global_generator", {"host": True}),
        ("draws_only_from_its_generator", "python_generator", {"host": True}),
        ("draws_only_from_its_generator", "keras_generator", {"host": True}),
        ("draws_only_from_its_generator", "unseeded", {"host": True}),
        ("draws_only_from_its_generator", "counts", {"host": True}),
        ("same_in_another_process", "other_in_each_process", {"host": True}),
        ("same_in_another_process", "holds_a_lock", {"host": True}),
    ],
    "architecture": [
        ("builds", "headless", {}),
        ("builds", "nested", {}),
        ("builds", "downloads", {"weights": "imagenet"}),
        ("rescales_inside", "rescales_twice", {}),
        ("rescales_inside", "rescales_never", {}),
        ("golden_image", "", {"weights": "imagenet"}),
        ("probabilities", "sigmoid", {}),
        ("blocks_in_order", "listed_backwards", {}),
        ("blocks_in_order", "interleaved", {}),
        ("blocks_in_order", "empty_block", {}),
        ("blocks_in_order", "one_block_for_all", {}),
        ("last_n_freezes", "counts_frozen", {}),
        ("last_n_freezes", "remembers", {}),
        ("overfits_one_batch", "dead", {}),
        ("saves_and_loads", "lambda", {}),
        ("saves_and_loads", "loads_here_only", {}),
        ("prefix_then_suffix", "noise", {}),
        ("backends_agree", "backends_differ", {}),
        ("each_image_by_itself", "among_others", {}),
        ("each_image_by_itself", "noise", {}),
        ("weights_described", "described_from_scratch", {}),
        ("weights_described", "imports_keras_to_describe", {}),
        ("weights_described", "of_nowhere", {"weights": "imagenet"}),
    ],
    "schedule": [
        ("builds", "number", {}),
        ("finite_and_non_negative", "short_is_nan", {}),
        ("finite_and_non_negative", "negative", {"component": "suspect_callback"}),
        ("at_step_zero", "starts_at_zero", {}),
        ("reaches_its_peak", "half_the_peak", {}),
        ("on_time", "late", {}),
        ("on_time", "later", {}),
        ("on_time", "too_early", {}),
        ("on_time", "late", {"component": "suspect_callback"}),
        ("after_warm_up", "no_warm_up", {}),
        ("at_the_last_step", "steps_of_an_epoch", {}),
        ("ends_at_its_final_fraction", "no_final_fraction", {}),
        ("serialises", "forgets_its_steps", {}),
        ("applies_in_training", "asks_for_its_value", {}),
        ("same_on_all_backends", "other_elsewhere", {}),
    ],
    "loss": [
        ("builds", "function", {}),
        ("one_number_for_each_image", "mean_of_the_batch", {}),
        ("one_number_for_each_image", "of_each_class", {}),
        ("one_number_for_each_image", "half_precision", {}),
        ("finite_at_the_extremes", "unclipped", {}),
        ("finite_at_the_extremes", "infinite_slope", {}),
        ("any_class_counts", "inverse_counts", {}),
        ("better_is_lower", "upside_down", {}),
        ("takes_probabilities", "logits", {}),
        ("labels_by_their_shares", "largest_label", {}),
        ("of_the_image_alone", "relative_to_the_batch", {}),
        ("of_the_image_alone", "random", {}),
        ("trains", "detached", {}),
        ("same_on_all_backends", "other_elsewhere", {}),
    ],
    "metric": [
        ("builds", "function", {}),
        ("finite_number", "array", {}),
        ("same_twice", "counts", {}),
        ("any_order", "first_image", {}),
        ("perfect_is_better", "other_way", {}),
        ("leaves_its_arguments", "sorts", {}),
        ("missing_class", "raises", {}),
        ("few_and_many_classes", "nan_for_two", {}),
        ("quick", "slow", {}),
    ],
    "observer": [
        ("builds", "function", {}),
        ("hears_every_event", "raises_when_failed", {}),
        ("hears_in_another_process", "only_in_one_process", {}),
        ("imports_no_backend", "imports_keras", {}),
        ("leaves_its_arguments", "adds_a_metric", {}),
        ("leaves_the_process", "seeds", {}),
        ("returns_promptly", "sleeps", {"seconds": 0.02}),
        ("prints_nothing", "prints", {}),
    ],
    "exporter": [
        ("builds", "functions", {}),
        ("builds", "unknown_backend", {}),
        ("builds", "lenient", {}),
        ("writes_into_its_folder", "writes_beside", {}),
        ("writes_into_its_folder", "writes_into_the_working_directory", {}),
        ("writes_into_its_folder", "writes_two_files", {}),
        ("writes_into_its_folder", "returns_text", {}),
        ("writes_into_its_folder", "returns_nothing", {}),
        ("leaves_the_model", "freezes", {}),
        ("leaves_the_model", "rounds_weights", {}),
        ("predicts_as_keras", "classes_in_another_order", {}),
        ("predicts_as_keras", "one_image_alone", {}),
        ("any_number_of_images", "normalises_a_batch", {}),
        ("any_number_of_images", "float64", {}),
        ("writes_again", "writes_its_first_model", {}),
        ("same_in_another_process", "remembers_its_path", {}),
        ("same_on_all_backends", "backends_differ", {}),
    ],
    "engine": [
        ("builds", "function", {}),
        ("builds", "one_place", {}),
        ("calls_functions", "here", {}),
        ("calls_functions", "out_of_order", {}),
        ("tells_what_fails", "swallows", {}),
        ("runs_side_by_side", "takes_turns", {}),
        ("works_as_this_process", "elsewhere", {}),
        ("terminates", "deaf", {}),
        ("closes_at_once", "stays", {}),
        ("tells_what_is_lost", "loses", {}),
        ("ends_with_this_process", "outlives", {}),
        ("closes", "fails_to_close", {}),
    ],
}
IN_A_NEW_PROCESS = {"loads_here_only"}
RIGHT = {
    "dataset": [{}, {"path": "images"}],
    "augmentation": [{}, {"mixes": True}, {"layer": True}, {"host": True}],
    "schedule": [{"final_fraction": 0.1}, {"component": "suspect_callback"}],
    "loss": [{}],
    "metric": [{}],
    "observer": [{}],
    "exporter": [{}],
    "engine": [{"component": "local"}],
}
LOADS_KERAS_ELSEWHERE = {"exporter"}  # in a process of its own, which takes seconds
STARTS_PROCESSES = {"engine"}  # without Keras; each takes a fraction of a second
DOCUMENT = Path(__file__).parents[1] / "docs" / "plugins.md"
NOT_ON_TORCH = {"train_step_stays_jitted", "applies_in_training"}  # where nothing is compiled


pytestmark = pytest.mark.usefixtures("suspects")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of 12 small PNG files."""
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(12):
        noise = rng.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{number:02}.png")
    return folder


def suspect(kind, params, images, **options):
    if kind == "architecture":
        options = {"image_size": 16, **options}
    if "path" in params:
        params = params | {"path": str(images)}
    params = dict(params)
    return find_subject(kind, params.pop("component", "suspect"), params, **options)


def outcomes(subject):
    return {check.name: check.run(subject) for check in checks_of(subject.kind)}


def check_named(kind, name):
    return next(check for check in checks_of(kind) if check.name == name)


def random_classifier():
    return np.random.default_rng(0).normal(size=(16, 1000)), np.zeros(1000)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("kind", "check", "fault", "params"),
    [
        pytest.param(kind, *case, marks=[pytest.mark.long] if slow else [])
        for kind, cases in FAULTS.items()
        for case in cases
        for slow in [kind in STARTS_PROCESSES or case[1] in IN_A_NEW_PROCESS]
    ],
    ids=lambda value: "" if isinstance(value, dict) else str(value),
)
def test_a_fault_is_caught(kind, check, fault, params, images, monkeypatch):
    import keras

    monkeypatch.setattr(training, "STEPS", 3)
    monkeypatch.setattr(observers, "PROMPT_SECONDS", 0.02)
    monkeypatch.setattr(engines, "END_SECONDS", 1.0)
    if check in NOT_ON_TORCH and keras.config.backend() == "torch":
        pytest.skip("nothing is compiled on PyTorch")
    if kind in STARTS_PROCESSES and keras.config.backend() != "tensorflow":
        pytest.skip("no backend takes part")
    if fault == "remembers" and keras.config.backend() == "jax":
        pytest.skip("what is compiled keeps the value of an attribute")
    if check in ("same_on_all_backends", "backends_agree") and len(installed_backends()) < 2:
        pytest.skip("there is no other backend")
    options = {}
    if check == "golden_image":
        pytest.importorskip("sklearn")
        options = {"imagenet_classifier": random_classifier}
    subject = suspect(kind, params | {"fault": fault}, images, **options)
    outcome = check_named(kind, check).run(subject)
    assert outcome.status == "failed", outcome.detail
    rule, contract = outcome.check.rule, outcome.check.contract
    said = str(outcome).split("\n")
    assert said[:2] == [check, f"  expected  {rule}"]
    assert re.match(r"  found     \S", said[2])
    assert said[-1] == f"  contract  {contract}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_has_a_fault_that_it_catches_and_says_where_the_contract_is(kind):
    assert {name for name, *_ in FAULTS[kind]} == {check.name for check in checks_of(kind)}
    for check in checks_of(kind):
        assert check.rule.endswith(".")
        heading, name = re.fullmatch(r'docs/plugins.md, "(\w+)"; (.+)', check.contract).groups()
        assert getattr(hookspecs, name.removeprefix("kerascnn.hookspecs.")).__doc__
        assert re.search(rf"^##+ {heading}$", DOCUMENT.read_text(), re.MULTILINE), heading


@pytest.mark.backend
@pytest.mark.parametrize(
    ("kind", "params"),
    [
        pytest.param(kind, p, marks=pytest.mark.long if slow else ())
        for kind, every in RIGHT.items()
        for slow in [kind in LOADS_KERAS_ELSEWHERE | STARTS_PROCESSES]
        for p in every
    ],
)
def test_a_right_component_passes(kind, params, images):
    failed = [
        str(outcome)
        for outcome in outcomes(suspect(kind, params, images)).values()
        if outcome.status == "failed"
    ]
    assert not failed, "\n".join(failed)


def test_what_was_not_built_is_said_once(images):
    ended = outcomes(suspect("dataset", {"fault": "dictionary"}, images))
    said = 'dataset "suspect" of suspects 1.0: build must return kerascnn.Splits, not dict.'
    assert ended.pop("builds").detail == said
    assert {outcome.detail for outcome in ended.values()} == {"nothing was built: see builds"}


def test_what_the_component_raises_is_told_with_its_place(images):
    subject = suspect("dataset", {"fault": "raises"}, images)
    detail = check_named("dataset", "images").run(subject).detail
    assert re.fullmatch(r"ZeroDivisionError: .* \(.*suspects\.py, line \d+\)", detail)


def test_a_failure_in_a_library_is_told_at_the_line_of_the_package():
    library = {"__name__": "library"}
    exec(compile("def fail():\n    raise ValueError('no')", "library.py", "exec"), library)
    with pytest.raises(ValueError, match="no") as caught:
        library["fail"]()
    said = explain(caught.value, SimpleNamespace(package=__name__.partition(".")[0]))
    assert re.fullmatch(r"ValueError: no \(test_testing\.py, line \d+\)", said)


def test_a_check_does_not_refer_to_itself():
    registered = load_registry().get("dataset", "suspect")
    error = registered.named(SourceError("source[0] failed."))
    assert explain(error, registered) == 'dataset "suspect" of suspects 1.0: source[0] failed.'


def test_what_its_own_check_refuses_is_the_users_fault(images):
    with pytest.raises(InputError, match=r"^dataset\.fault: it cannot work\.$"):
        suspect("dataset", {"fault": "refused"}, images)


@pytest.mark.parametrize(
    ("kind", "params", "cause", "skipped"),
    [
        ("augmentation", {"host": True, "fault": "crops"}, "augments_one_image", 7),
        ("schedule", {"fault": "starts_at_zero"}, "at_step_zero", 0),
    ],
)
def test_one_fault_is_told_once(kind, params, cause, skipped, images):
    ended = outcomes(suspect(kind, params, images))
    refer = [one for one in ended.values() if one.detail.endswith(f"see {cause}")]
    assert [name for name, one in ended.items() if one.status == "failed"] == [cause]
    assert len(refer) == skipped
    assert {one.status for one in refer} <= {"skipped"}


def test_an_augmentation_that_differs_each_time_is_not_said_to_mix(images):
    subject = suspect("augmentation", {"fault": "global_generator"}, images)
    outcome = check_named("augmentation", "labels_go_with_images").run(subject)
    assert (outcome.status, outcome.detail) == (
        "skipped",
        "it is not the same twice: see same_for_a_seed",
    )


def test_without_its_classifier_a_pretrained_network_has_no_golden_image(images):
    subject = suspect("architecture", {"weights": "imagenet"}, images)
    outcome = check_named("architecture", "golden_image").run(subject)
    assert (outcome.status, outcome.detail) == ("skipped", "no imagenet_classifier is given")


def test_a_golden_image_that_keeps_its_class_passes(images):
    pytest.importorskip("sklearn")

    def knows_daisies():
        return np.zeros((16, 1000)), np.eye(1000)[985] * 9

    subject = suspect(
        "architecture", {"weights": "imagenet"}, images, imagenet_classifier=knows_daisies
    )
    assert check_named("architecture", "golden_image").run(subject).detail == "daisy 0.890"


@pytest.mark.backend
def test_a_right_network_passes_and_keeps_its_weights(images):
    subject = suspect("architecture", {}, images)
    before = [weight.copy() for weight in subject.made.model.get_weights()]
    failed = [str(o) for o in outcomes(subject).values() if o.status == "failed"]
    assert not failed, "\n".join(failed)
    for weight, expected in zip(subject.made.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.backend
def test_dropout_keeps_no_network_from_learning_a_batch(images):
    subject = suspect("architecture", {"fault": "drops_most"}, images)
    outcome = check_named("architecture", "overfits_one_batch").run(subject)
    assert outcome.status == "passed", outcome.detail


@pytest.mark.parametrize(
    ("check", "fault", "said"),
    [
        ("blocks_in_order", "interleaved", '"body_conv" is in block "body", and "stem_norm" after'),
        ("blocks_in_order", "empty_block", "in block \"neck\": the patterns ['neck_*'] match none"),
        pytest.param(
            "saves_and_loads",
            "loads_here_only",
            "the model cannot be loaded: TypeError: Could not locate class 'Doubled'. Define the "
            "class Doubled at the top of a module",
            marks=pytest.mark.long,  # a new process takes seconds
        ),
    ],
)
def test_a_fault_of_a_network_is_told_with_the_layer_and_the_remedy(check, fault, said, images):
    outcome = check_named("architecture", check).run(
        suspect("architecture", {"fault": fault}, images)
    )
    assert said in outcome.detail


@pytest.mark.backend
def test_a_layer_that_no_gradient_reaches_is_named(images):
    subject = suspect("architecture", {"fault": "detached"}, images)
    outcome = check_named("architecture", "overfits_one_batch").run(subject)
    assert (outcome.status, outcome.detail) == ("failed", "training did not change stem_conv")


@pytest.mark.backend
def test_a_check_leaves_the_generators_of_the_process_as_they_were(images):
    before = np.random.get_state()[1].tolist(), random.getstate()
    outcome = check_named("augmentation", "same_for_a_seed").run(
        suspect("augmentation", {}, images)
    )
    assert outcome.status == "passed"
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before


@pytest.mark.backend
def test_frozen_weights_that_training_changes_are_told(images, monkeypatch):
    monkeypatch.setattr(training, "LEARNING_BLOCKS", 1)
    subject = suspect("architecture", {"fault": "counts_frozen"}, images)
    outcome = check_named("architecture", "overfits_one_batch").run(subject)
    assert (outcome.status, outcome.detail) == ("failed", "training changed frozen weights")


@pytest.mark.parametrize(("nudge", "status"), [(1e-6, "failed"), (0.5, "skipped")])
def test_backends_need_not_agree_on_what_rounding_decides(images, monkeypatch, nudge, status):
    """The network is one, and what another backend gives wrong; how far a nudge goes is varied."""

    def others(function, subject, weights):
        return {"other": np.roll(subject.predictions, 1, axis=1)}

    monkeypatch.setattr(architectures, "on_other_backends", others)
    monkeypatch.setattr(architectures, "NUDGE", nudge)
    outcome = check_named("architecture", "backends_agree").run(suspect("architecture", {}, images))
    assert outcome.status == status, outcome


def test_a_missing_folder_is_the_users_fault(images, tmp_path):
    subject = find_subject("dataset", "suspect", {"path": str(tmp_path / "nowhere")})
    with pytest.raises(InputError, match="there is no folder"):
        check_named("dataset", "builds").run(subject)


def test_the_command_line_says_what_failed(run_cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)  # the command does not need it
    command = "plugins", "check", "suspect", "--kind", "dataset"
    good = run_cli(*command)
    assert good.exit_code == 0, good.stdout
    assert "✓ labels_within_classes" in good.stdout
    assert good.stdout.splitlines()[-1].split()[1:] == [
        "kerascnn",
        "plugins",
        "show",
        "suspect",
        "--kind",
        "dataset",
    ]
    bad = run_cli(*command, "--set", "fault=label_too_large")
    assert bad.exit_code == 1
    assert "found     train[2] has the label 2; there are 2 classes" in bad.stdout
    assert 'contract  docs/plugins.md, "Source"; kerascnn.hookspecs.Source' in bad.stdout
    assert re.search(r"\n\n\d+ passed, 1 failed in \d+\.\d s\n$", bad.stdout)


def test_an_import_is_found_whichever_check_comes_first(images):
    subject = suspect("observer", {"fault": "imports_keras"}, images)
    said = {name: outcome.status for name, outcome in outcomes(subject).items()}
    assert [name for name, status in said.items() if status == "failed"] == ["imports_no_backend"]


def test_a_slow_observer_is_told_no_more(images, monkeypatch):
    monkeypatch.setattr(observers, "PROMPT_SECONDS", 0.02)
    subject = suspect("observer", {"fault": "sleeps", "seconds": 0.02}, images)
    prompt = check_named("observer", "returns_promptly").run(subject)
    every = check_named("observer", "hears_every_event").run(subject)
    assert (prompt.status, every.status) == ("failed", "skipped")
    assert subject.heard.events < 10


def test_what_several_checks_came_to_is_told_once(run_cli):
    said = run_cli("plugins", "check", "suspect", "--kind", "dataset", "--set", "fault=raises")
    assert said.stdout.count("ZeroDivisionError") == 1
    assert len(re.findall(r"✗ \w+ +same as ", said.stdout)) > 1


def test_the_command_line_prints_one_document(run_cli):
    ended = run_cli(
        *(
            "plugins",
            "check",
            "suspect",
            "--kind",
            "dataset",
            "--set",
            "fault=empty_split",
            "--json",
        )
    )
    document = json.loads(ended.stdout)
    failed = [check["name"] for check in document["checks"] if check["status"] == "failed"]
    assert (ended.exit_code, document["failed"]) == (1, len(failed))
    lengths = next(check for check in document["checks"] if check["name"] == "lengths")
    assert (lengths["status"], lengths["detail"]) == ("failed", "len(test) is 0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("suspekt",), 'Did you mean "suspect"'),
        (("suspect",), "--kind"),
        (("suspect", "--kind", "schedule", "--set", "peek=1"), "schedule.peek = 1: unknown key"),
    ],
)
def test_a_wrong_name_or_parameter_is_the_users_fault(arguments, message, run_cli):
    ended = run_cli("plugins", "check", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert message in ended.stderr


TESTS = """
import pytest


@pytest.mark.kerascnn("dataset", "suspect")
def test_fine(kerascnn_check):
    kerascnn_check(images=6)


@pytest.mark.kerascnn("dataset", "suspect", "shapes")
def test_two(kerascnn_check, request):
    kerascnn_check(**({"fault": "one_name_twice"} if "suspect" in request.node.name else {}))


@pytest.mark.kerascnn("dataset", "shapes", only=["class_names"])
def test_one(kerascnn_check):
    kerascnn_check()
"""


@pytest.mark.long  # a pytest of its own
def test_in_pytest_each_check_is_a_test_of_its_own(tmp_path, suspects):
    (tmp_path / "test_contract.py").write_text(TESTS)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfs", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    count = len(checks_of("dataset"))
    assert "1 failed" in ended.stdout.splitlines()[-1], ended.stdout + ended.stderr
    assert f"{3 * count - ended.stdout.count('SKIPPED')} passed" in ended.stdout
    assert "test_two[suspect-class_names]" in ended.stdout
    assert "found     ['odd', 'odd']" in ended.stdout
    assert "Traceback" not in ended.stdout


@pytest.mark.long  # a pytest of its own
def test_in_pytest_a_check_that_there_is_not_is_an_error(tmp_path):
    (tmp_path / "test_contract.py").write_text(TESTS.replace('["class_names"]', '["clas_names"]'))
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert "test_one: unknown checks ['clas_names']: expected builds, " in ended.stdout


@pytest.mark.long  # a pytest of its own
def test_in_pytest_a_refused_parameter_is_told_without_a_traceback(tmp_path, suspects):
    (tmp_path / "test_contract.py").write_text(TESTS.replace("images=6", "image=6"))
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "fine"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert 'dataset.image = 6: unknown key. Did you mean "images"?' in ended.stdout
    assert "kerascnn_check(KEY=VALUE) gives the component its parameters." in ended.stdout
    assert "kerascnn/testing" not in ended.stdout
    assert "During handling" not in ended.stdout


def test_the_pytest_plugin_imports_nothing_of_the_kit_until_it_is_used():
    code = (
        "import sys, kerascnn.testing.pytest_plugin; "
        "print([m for m in sys.modules if 'kerascnn' in m])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True
    )
    assert ended.stdout == "['kerascnn', 'kerascnn.testing', 'kerascnn.testing.pytest_plugin']\n"
