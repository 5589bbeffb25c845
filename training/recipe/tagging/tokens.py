"""Tagged tokens of a file as the base model's own words."""

from collections.abc import Callable, Sequence

import numpy as np

from training.recipe.data import TaggedExample
from training.recipe.tokens import Indexes, TextTokenizer, TokenizedSplit, starts_of


def tokenize(
    tokenizer: TextTokenizer,
    examples: Sequence[TaggedExample],
    tags: Sequence[str],
    beat: Callable[[int], None],
) -> TokenizedSplit:
    """`examples` as tokens, with the tag of each word at the token that it begins with; `beat` is told of each row.

    tags: all of them, in the head's order. The words of a text are the tokenizer's, as at inference, where nobody
    knows how the file cut it up. Of a token that is several words the first has its B tag, and the others go on with I.
    """
    position = {tag: index for index, tag in enumerate(tags)}
    ids, labels, places = [], [], []
    offset = 0
    for example in examples:
        row, firsts, characters = tokenizer.tokenize_words(" ".join(example.tokens))
        ids.append(row)
        places.append(firsts + offset)
        labels.append([position[tag] for tag in _word_tags(example, characters)])
        offset += len(row)
        beat(1)
    return TokenizedSplit(
        ids=np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32),
        starts=starts_of(map(len, ids)),
        rows=np.fromiter((example.row for example in examples), dtype=np.int64),
        labels=np.fromiter((label for row in labels for label in row), dtype=np.int64),
        label_starts=starts_of(map(len, labels)),
        places=np.concatenate(places) if places else np.zeros(0, dtype=np.int64),
    )


def _word_tags(example: TaggedExample, characters: Indexes) -> list[str]:
    """The tag of each word, by the character that it begins at in the tokens joined by spaces."""
    begins = starts_of(len(token) + 1 for token in example.tokens)
    owners = np.searchsorted(begins, characters, side="right") - 1
    tags = []
    before = -1
    for owner in owners.tolist():
        tag = example.tags[owner]
        tags.append(f"I{tag[1:]}" if owner == before and tag != "O" else tag)
        before = owner
    return tags
