import numpy as np
import pytest
import torch

from training.recipe.classification.calibration import find_temperature


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_logits_that_are_too_large_or_small_are_set_right(factor):
    random = np.random.default_rng(0)
    logits = random.normal(size=(5000, 4)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([random.choice(4, p=share) for share in shares])
    found = find_temperature(torch.from_numpy(logits * factor).float(), labels)
    assert found == pytest.approx(factor, rel=0.1)
