"""Products of bfloat16 move a row's numbers by little, and by nothing that depends on its neighbours."""

import pytest
import torch

from core.catalogue import DEFAULT_BASE_MODEL
from inference.pool.adapters import Adapter, parse
from inference.pool.base import LoadedBase, load_base
from inference.pool.engine import Engine, Row
from inference.pool.linear import RoundedLinear, computes
from inference.pool.precision import Precision
from tests.inference.adapter_files import ALL_TARGETS, Reference

TEXTS = ["My card has not arrived yet.", "refund", "How do I change my password " * 20, "请问我的订单在哪里"]

pytestmark = pytest.mark.skipif(
    not computes(Precision.BF16), reason="this processor has no products of bfloat16"
)


@pytest.fixture(scope="module")
def base() -> LoadedBase:
    torch.set_num_threads(1)
    return load_base(DEFAULT_BASE_MODEL, Precision.BF16)


def rows_of(weights: Adapter | LoadedBase, base: LoadedBase) -> list[Row]:
    return [Row(ids, weights) for ids in base.tokenise(TEXTS)]


def run(rows: list[Row]) -> torch.Tensor:
    return torch.stack([result for result in Engine().run(rows) if result is not None])


def test_scores_and_embeddings_are_close_to_those_of_fp32(base: LoadedBase) -> None:
    reference = Reference(["a", "b", "c"], seed=1, targets=ALL_TARGETS)
    scores = run(rows_of(parse(reference.file(), {base.id: base}), base))
    assert float((scores - reference.scores(TEXTS)).abs().max()) < 0.02
    embeddings = run(rows_of(base, base))
    exact = run(rows_of(load_base(DEFAULT_BASE_MODEL), base))
    assert float((embeddings * exact).sum(dim=1).min()) > 0.9999


def test_a_row_is_the_same_alone_and_in_company(base: LoadedBase) -> None:
    adapters = [parse(Reference(["a", "b"], seed=seed).file(), {base.id: base}) for seed in (1, 2)]
    together = run([row for adapter in adapters for row in rows_of(adapter, base)])
    alone = torch.cat([run([row]) for adapter in adapters for row in rows_of(adapter, base)])
    assert float((together - alone).abs().max()) < 1e-6


def test_a_map_does_not_depend_on_the_number_of_rows() -> None:
    torch.manual_seed(0)
    linear = RoundedLinear(torch.randn(96, 64), torch.randn(96))
    x = torch.randn(130, 64)
    with torch.inference_mode():
        whole = linear(x)
        assert all(torch.equal(linear(x[:rows]), whole[:rows]) for rows in (1, 2, 7, 16, 33, 129))
