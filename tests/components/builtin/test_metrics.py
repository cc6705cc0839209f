"""The built-in metrics: equal to scikit-learn's, also where classes are missing."""

import numpy as np
import pytest
from sklearn import metrics

from kerascnn import InputError

CLASSES = ("mild", "moderate", "none", "severe")
ORDER = ("none", "mild", "moderate", "severe")
PLACES = np.array([ORDER.index(name) for name in CLASSES])
LABELS = range(len(CLASSES))


@pytest.fixture(params=["all classes", "a class missing", "a class never predicted"])
def said(request):
    """Labels int [N] and probabilities float32 [N, K]."""
    rng = np.random.default_rng(3)
    labels = rng.integers(len(CLASSES), size=60)
    probabilities = rng.dirichlet(np.ones(len(CLASSES)), 60) + np.eye(len(CLASSES))[labels] / 3
    if request.param == "a class missing":
        labels[labels == 1] = 2
    if request.param == "a class never predicted":
        probabilities[:, 1] = 1e-3
    return labels, (probabilities / probabilities.sum(1, keepdims=True)).astype(np.float32)


@pytest.fixture
def value(registry):
    def compute(name, said, **params):
        built = registry.get("metric", name).bind(params).build(class_names=CLASSES)
        return built.compute(*said)

    return compute


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("accuracy", metrics.accuracy_score),
        ("balanced_accuracy", metrics.balanced_accuracy_score),
        ("macro_f1", lambda true, predicted: metrics.f1_score(true, predicted, average="macro")),
    ],
)
def test_what_is_predicted_is_measured_as_by_scikit_learn(value, said, name, theirs):
    labels, probabilities = said
    assert value(name, said) == pytest.approx(theirs(labels, probabilities.argmax(1)), abs=1e-12)


def test_probabilities_are_measured_as_by_scikit_learn(value, said):
    labels, probabilities = said
    whole = probabilities / probabilities.sum(1, keepdims=True, dtype=float)
    theirs = metrics.log_loss(labels, whole, labels=[*LABELS])
    assert value("log_loss", said) == pytest.approx(theirs, rel=1e-5)
    for k in (1, 2, 3):
        theirs = metrics.top_k_accuracy_score(labels, probabilities, k=k, labels=[*LABELS])
        assert value("top_k", said, k=k) == pytest.approx(theirs)


@pytest.mark.parametrize("order", [None, list(ORDER)])
def test_kappa_is_scikit_learn_s_in_the_order_of_the_classes(value, said, order):
    labels, predicted = said[0], said[1].argmax(1)
    if order:
        labels, predicted = PLACES[labels], PLACES[predicted]
    theirs = metrics.cohen_kappa_score(labels, predicted, labels=[*LABELS], weights="quadratic")
    assert value("quadratic_kappa", said, **({"order": order} if order else {})) == pytest.approx(
        theirs, abs=1e-12
    )


def test_kappa_of_one_class_alone_is_not_defined(value):
    assert np.isnan(value("quadratic_kappa", (np.zeros(3, int), np.eye(4)[[0, 0, 0]])))


def test_of_equal_probabilities_the_first_ones_count(value):
    """As in `argmax`: top-1 is the accuracy."""
    even = np.full((4, 4), 0.25)
    assert value("top_k", (np.arange(4), even), k=1) == 0.25
    assert value("top_k", (np.arange(4), even), k=2) == 0.5


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("top_k", {}, "k = 5 with 4 classes would always be 1; set k to at most 3"),
        ("quadratic_kappa", {"order": ["non", *ORDER[1:]]}, 'names "non".*Did you mean "none"'),
        ("quadratic_kappa", {"order": ["none", "none"]}, "must name each class once: mild, "),
    ],
)
def test_what_does_not_fit_the_classes_is_refused(value, name, params, message):
    with pytest.raises(InputError, match=message):
        value(name, None, **params)
