"""How many tokens texts have where no model is asked: by the default encoder's tokenizer, without its weights."""

from collections.abc import Sequence
from functools import cache

from tokenizers import Tokenizer

from core.catalogue import DEFAULT_BASE_MODEL, BaseModelUnavailable, get_base_model
from inference.gateway.prediction import PoolUnavailable


def count_tokens(texts: Sequence[str]) -> list[int]:
    """The tokens of each text, with those that a tokenizer puts around it. Raises PoolUnavailable where the tokenizer is
    not installed."""
    return [len(encoded) for encoded in _tokenizer().encode_batch_fast(list(texts))]


@cache
def _tokenizer() -> Tokenizer:
    try:
        folder = get_base_model(DEFAULT_BASE_MODEL).folder()
    except BaseModelUnavailable:
        raise PoolUnavailable("Tokens cannot be counted at the moment. Try again later.") from None
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
