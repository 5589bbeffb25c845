"""With products of bfloat16, too, a row's text is its own whoever else is in the batch."""

from pathlib import Path

import pytest

from inference.pool.chat.base import ChatBase
from inference.pool.chat.engine import ChatEngine, ChatLimits
from inference.pool.chat.requests import ChatRequest
from inference.pool.linear import computes
from inference.pool.precision import Precision
from tests.inference.chat.references import ChatReference, tiny_base
from tests.inference.chat.runs import answer, answer_staggered, request

pytestmark = pytest.mark.skipif(
    not computes(Precision.BF16), reason="this processor has no products of bfloat16"
)


@pytest.fixture(scope="module")
def rounded(folder: Path) -> ChatBase:
    return tiny_base(folder, Precision.BF16)


def test_a_greedy_text_is_the_same_alone_and_in_company(
    rounded: ChatBase, references: list[ChatReference]
) -> None:
    def asked() -> list[ChatRequest]:
        return [
            request(range(3, 40 + 30 * index), adapter=reference.adapter(rounded), max_tokens=15)
            for index, reference in enumerate(references)
        ]

    alone = [answer(ChatEngine(rounded, ChatLimits()), each)[0].text for each in asked()]
    together = asked()
    outcomes = answer_staggered(
        ChatEngine(rounded, ChatLimits()), {0: together[:3], 2: together[3:5], 7: together[5:]}
    )
    assert [outcomes[each.id].text for each in together] == alone
