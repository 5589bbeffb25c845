"""Which rows train, which choose the best checkpoint, and which are kept for the one final test.

The split follows from the texts alone, so the same rows are split alike wherever and whenever it is done, in
any order; and texts that differ in case and punctuation only are never apart.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.data.columns import Split

SPLITS = (Split.TRAIN, Split.VALIDATION, Split.TEST)
TRAIN, VALIDATION, TEST = range(3)
LEFT_OUT = -1
NO_SPLIT = -1
SHARE = 0.1

Codes = npt.NDArray[np.int8]
Groups = npt.NDArray[np.uint32]


def split_rows(
    keys: npt.NDArray[np.uint64],
    labels: npt.NDArray[np.uint32],
    label_names: Sequence[str],
    own: Codes | None = None,
) -> Codes:
    """The split of every row, as a position in SPLITS, or LEFT_OUT.

    keys: text_key of each row; labels: each row's position in `label_names`; own: the file's own split where
    it has one. Without it each label's texts go to about 80 % train, 10 % validation and 10 % test, with
    one in each where a label has three different texts. With it rows stay where they are, except that a text
    in several splits is left out of all but one (test before validation before train), and that a split that
    the file lacks is taken from its training rows.
    """
    if own is None:
        return _divide(keys, labels, label_names, {VALIDATION, TEST})
    codes = _without_leaks(keys, own)
    lacking = {code for code in (VALIDATION, TEST) if not (codes == code).any()}
    if lacking:
        training = codes == TRAIN
        codes[training] = _divide(keys[training], labels[training], label_names, lacking)
    return codes


def joined_keys(first: npt.NDArray[np.uint64], second: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Keys that are equal for rows that either of two keys holds for equal, directly or by way of others."""
    keys = first
    while True:
        joined = _least_of_equal(_least_of_equal(keys, second), first)
        if (joined == keys).all():
            return joined
        keys = joined


def _least_of_equal(values: npt.NDArray[np.uint64], keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The least of the values of rows with equal keys, for each row."""
    group, groups = _group(keys)
    least = np.full(groups, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, group, values)
    result: npt.NDArray[np.uint64] = least[group]
    return result


def _without_leaks(keys: npt.NDArray[np.uint64], own: Codes) -> Codes:
    group, groups = _group(keys)
    strongest = np.full(groups, LEFT_OUT, dtype=np.int8)
    np.maximum.at(strongest, group, own)
    return np.where(own == strongest[group], own, LEFT_OUT).astype(np.int8)


def _group(keys: npt.NDArray[np.uint64]) -> tuple[Groups, int]:
    """Each row's group of equal keys, numbered in the order of the keys, and how many there are."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_first = np.ones(len(keys), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    del ordered
    groups = np.empty(len(keys), dtype=np.uint32)
    groups[order] = np.cumsum(is_first, dtype=np.uint32) - 1
    return groups, int(is_first.sum())


def _divide(
    keys: npt.NDArray[np.uint64],
    labels: npt.NDArray[np.uint32],
    label_names: Sequence[str],
    held_out: set[int],
) -> Codes:
    """Split groups of equal texts, label by label; `held_out` says which splits get a share besides train."""
    if not len(keys):
        return np.zeros(0, dtype=np.int8)
    group, groups = _group(keys)
    sizes = np.bincount(group, minlength=groups)
    group_labels = _label_of_group(group, labels, label_names)
    of_group = np.full(groups, TRAIN, dtype=np.int8)
    by_label = np.argsort(
        group_labels, kind="stable"
    )  # keys are hashes: within a label their order is random
    starts = np.flatnonzero(np.diff(group_labels[by_label], prepend=-1))
    for members in np.split(by_label, starts[1:]):
        of_group[members] = _divide_label(sizes[members], held_out)
    return of_group[group]


def _label_of_group(
    group: Groups, labels: npt.NDArray[np.uint32], label_names: Sequence[str]
) -> npt.NDArray[np.int32]:
    """The most common label of each group; the first by name on a tie, so that the rows' order plays no part."""
    ranks = np.argsort(np.argsort(np.array(label_names, dtype=object), kind="stable"))
    pairs = group.astype(np.int64)
    pairs *= len(label_names)
    pairs += ranks[labels]
    pairs.sort()
    starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]]))
    counts = np.diff(starts, append=len(pairs))
    pairs = pairs[starts]
    pair_group, pair_rank = pairs // len(label_names), (pairs % len(label_names)).astype(np.int32)
    del pairs, starts
    if len(pair_group) == int(pair_group[-1]) + 1:
        return pair_rank  # one label for each text, as nearly always
    best_first = np.lexsort((pair_rank, -counts, pair_group))
    _, first = np.unique(pair_group[best_first], return_index=True)
    best: npt.NDArray[np.int32] = pair_rank[best_first][first]
    return best


def _divide_label(sizes: npt.NDArray[np.int64], held_out: set[int]) -> Codes:
    """The split of each of one label's groups, in their random order, by the number of rows in each."""
    codes = np.full(len(sizes), TRAIN, dtype=np.int8)
    wanted = [code for code in (TEST, VALIDATION) if code in held_out][: max(0, len(sizes) - 1)]
    quota = max(1, round(SHARE * int(sizes.sum())))
    # A text that is repeated more often than a split is large trains.
    order = np.argsort(sizes > quota, kind="stable")
    starts = np.cumsum(sizes[order]) - sizes[order]
    for position, code in enumerate(wanted):
        inside = (starts >= position * quota) & (starts < (position + 1) * quota)
        if not inside.any():
            inside = np.arange(len(sizes)) == position
        codes[order[inside]] = code
    return codes
