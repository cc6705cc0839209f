"""The page of a sweep, and what a notebook shows."""

import re

import pytest
from swept import LONG, swept, trial

from kerascnn.studies.sweep.report.page import write_page

SHARES = {"stages.head.learning_rate": 0.7, "architecture.name": 0.3}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_page(swept(tmp_path_factory.mktemp("sweep"), 8, 2, importance=SHARES)).read_text(
        "utf-8"
    )


def test_the_page_begins_with_the_verdict(page):
    assert page.index("Trial 1 is the best") < page.index("<svg")
    assert 'class="headline">0.950 <' in page
    assert "the winner has not been tested yet" in page
    assert not re.search(r"(src|href)=.?https?://(?!doi|www.jstor|proceedings)", page)


def test_every_figure_has_a_wide_and_a_narrow_form(page):
    labels = re.findall('aria-label="([^"]*)"', page)
    assert len(labels) == 10
    assert len(set(labels)) == 5


def test_the_table_says_why_a_trial_was_pruned_or_failed(page):
    assert page.count("pruned: worse than trial 1 after epoch 2 (p &lt; 0.001)") == 2
    assert "failed: NaN: the loss is [not] a number" in page
    assert f'title="{LONG}"' in page


def test_a_notebook_shows_verdict_history_and_trials(tmp_path):
    shown = swept(tmp_path, 3, 1)._repr_html_()
    assert "<html" not in shown
    assert shown.count("<svg") == 2
    assert shown.count('<td data-label="trial">') == 3


@pytest.mark.long  # draws ten figures each
@pytest.mark.parametrize(
    "changes",
    [
        {"count": 1, "keys": 1, "best": None, "optimism": None},
        {"count": 3, "keys": 1},
        {"count": 60, "keys": 8},
        {"trials": [], "best": None, "not_told_apart": [], "optimism": None, "importance": {}},
        {"metric": "val_loss", "greater_is_better": False},
    ],
    ids=["one", "three", "many keys", "none", "loss"],
)
def test_a_page_of_any_sweep(tmp_path, changes):
    page = write_page(swept(tmp_path, **changes)).read_text("utf-8")
    assert "Sweep of flowers" in page
    assert "</html>" in page
    assert len(page) < 1_000_000


@pytest.mark.long  # draws ten figures
def test_what_a_user_named_is_escaped(tmp_path):
    space = {"architecture.name": {"one_of": ["<script>", "$x$"]}, "a.b": {"from": 1, "to": 2}}
    params = [
        {"architecture.name": name, "a.b": place} for place, name in ((1, "<script>"), (2, "$x$"))
    ]
    trials = [trial(number, 0.9, tried) for number, tried in enumerate(params)]
    result = swept(tmp_path, space=space, trials=trials, best=trials[0], not_told_apart=[])
    page = write_page(result).read_text("utf-8")
    assert "<script>" not in page
    assert "$x$" in page
