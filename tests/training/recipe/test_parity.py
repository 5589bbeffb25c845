import pytest
import torch

from core.models.fine_tune_jobs import Method
from inference.pool.adapters import parse
from inference.pool.base import cut, load_base
from inference.pool.engine import Engine, Row
from tests.training.recipe.conftest import SEED
from tests.training.recipe.samples import BASE, Memory, messages
from training.recipe.by_task import fine_tune
from training.recipe.classification import evaluation
from training.recipe.settings import FineTuneSettings


@pytest.mark.parametrize("method", Method)
def test_the_pool_gives_the_probabilities_that_were_evaluated(method, monkeypatch):
    measured = []

    def evaluate(probabilities, *others):
        measured.append(probabilities)
        return evaluation.evaluate(probabilities, *others)

    monkeypatch.setattr("training.recipe.classification.objective.evaluate", evaluate)
    data = messages(train=8)
    settings = FineTuneSettings(
        method=method, epochs=2, learning_rate=2e-3 if method is Method.LORA else 1e-4, rank=4
    )
    result = fine_tune(data, settings, BASE, SEED, Memory())

    base = load_base(BASE.id)
    adapter = parse(result.adapter_file, {base.id: base})
    tokens = base.tokenise([example.text for example in data.test])
    results = Engine().run([Row(cut(ids, adapter.max_length), adapter) for ids in tokens])
    assert adapter.labels == data.labels
    [probabilities] = measured
    assert torch.allclose(
        torch.stack([scores for scores in results if scores is not None]).double(),
        torch.from_numpy(probabilities),
        rtol=0,
        atol=1e-5,
    )
