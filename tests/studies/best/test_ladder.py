import pytest

from kerascnn.studies.best.ladder import MORE_THOROUGH, THOROUGHNESS, ladder
from kerascnn.studies.best.result import DONE, FAILED, BestResult, Tried
from kerascnn.studies.best.rungs import FINETUNED, FROZEN, IMAGE_SIZE, LARGER_SIZE, SCRATCH


def climbed(networks, losses, failed=()):
    """The rungs that are tried, each the first of its alternatives; losses by network and size."""
    tried = []
    for rung, *_ in ladder(networks, lambda: BestResult("study", "x", 3.0, 0.0, 100, "", tried)):
        loss = losses.get((rung.network, rung.image_size), 1.0)
        state = FAILED if rung.network in failed else DONE
        tried.append(Tried(len(tried), rung.what, state, rung, val_loss=loss))
    return [one.rung for one in tried]


def test_two_networks_are_fine_tuned_before_others_are_looked_at_the_better_one_first():
    tried = climbed(("one", "two", "three"), {("two", IMAGE_SIZE): 0.5})
    begun = [(rung.kind, rung.network) for rung in tried[:6]]
    assert begun[:2] == [(FROZEN, "one"), (FROZEN, "two")]
    assert begun[2:4] == [(FINETUNED, "two"), (FINETUNED, "two")]  # at two sizes
    assert begun[4:] == [(FINETUNED, "one"), (FROZEN, "three")]


def test_the_best_two_are_fine_tuned_with_more_views_after_all_networks():
    networks = ("one", "two", "three")
    tried = climbed(networks, {("two", IMAGE_SIZE): 0.6, ("three", IMAGE_SIZE): 0.5})
    views = [(one.network, one.views) for one in tried if one.kind == FINETUNED]
    few, many = THOROUGHNESS[0], MORE_THOROUGH[0]
    assert {network for network, count in views if count == few} == {*networks}
    first = views.index(("three", many))
    assert views[first + 1] == ("two", many)
    assert ("one", many) not in views


@pytest.mark.parametrize(("loss", "size"), [(0.5, LARGER_SIZE), (2.0, IMAGE_SIZE)])
def test_others_are_fine_tuned_at_the_size_at_which_the_first_was_better(loss, size):
    tried = climbed(("one", "two", "three"), {("one", LARGER_SIZE): loss})
    tuned = [rung for rung in tried if rung.kind == FINETUNED]
    assert [rung.image_size for rung in tuned[:2]] == [IMAGE_SIZE, LARGER_SIZE]
    assert {rung.image_size for rung in tuned[2:]} == {size}


def test_a_network_that_fails_is_not_fine_tuned():
    tried = climbed(("one", "two"), {}, failed=("one",))
    assert {rung.network for rung in tried if rung.kind == FINETUNED} == {"two"}


def test_the_most_thorough_fine_tuning_is_the_first_alternative():
    alternatives = list(ladder(("one",), lambda: done("one")))
    assert [rung.epochs for rung in alternatives[1]] == list(THOROUGHNESS)


def done(network):
    so_far = BestResult("study", "x", 3.0, 0.0, 100, "")
    (first,) = next(ladder((network,), lambda: so_far))
    return so_far.with_tried(Tried(0, first.what, DONE, first, val_loss=1.0, better=True))


def test_without_pretrained_networks_one_is_trained_from_scratch():
    assert {rung.kind for rung in climbed((), {})} == {SCRATCH}
