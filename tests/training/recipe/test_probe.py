import numpy as np
import torch

from training.recipe.classification.label_errors import find_label_errors
from training.recipe.probe import fit, sample


def clusters(rows: int, labels: int, seed: int = 0):
    """Embeddings around a point for each label, one dimension of which never varies."""
    random = np.random.default_rng(seed)
    truth = np.arange(rows) % labels
    features = random.normal(size=(labels, 8))[truth] * 2 + random.normal(size=(rows, 8)) * 0.3 + 5
    features[:, 0] = 1.0
    return torch.from_numpy(features).float(), truth


def test_the_probe_learns_embeddings_as_they_are():
    features, truth = clusters(60, 3)
    beats: list[int] = []
    fitted = fit(features, truth, 3, beats.append)
    assert (fitted.probe.logits(features).argmax(1).numpy() == truth).all()
    assert beats


def test_held_out_probabilities_are_probabilities_of_every_row():
    features, truth = clusters(60, 3)
    held_out = fit(features, truth, 3, lambda _: None).held_out
    assert torch.allclose(held_out.sum(1), torch.ones(60))


def test_a_row_alone_in_its_label_is_fitted_but_neither_doubted_nor_suggested():
    features, truth = clusters(41, 2)
    truth[40] = 2
    fitted = fit(features, truth, 3, lambda _: None)
    assert fitted.probe.weight.isfinite().all()
    assert find_label_errors(fitted.held_out, truth, np.arange(41), "abc") == []


def test_wrong_labels_are_found_worst_first():
    features, truth = clusters(200, 4)
    wrong = truth.copy()
    wrong[[3, 50, 121]] = (truth[[3, 50, 121]] + 1) % 4
    found = find_label_errors(
        fit(features, wrong, 4, lambda _: None).held_out, wrong, np.arange(200) + 1, "abcd"
    )
    assert {error["row"] for error in found} == {4, 51, 122}
    assert all(error["suggested"] == "abcd"[truth[error["row"] - 1]] for error in found)


def test_a_sample_of_rows_has_every_label():
    labels = np.array([0] * 100 + [1] * 100 + [2])
    chosen = sample(labels, seed=0, rows=10)
    assert set(labels[chosen]) == {0, 1, 2}
    assert len(chosen) <= 13
