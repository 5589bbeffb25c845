"""Tags in the ways that people write them, and what they are in BIO."""

import pytest

from training.data.tags import entity_types, to_bio


@pytest.mark.parametrize(
    ("tags", "bio"),
    [
        ("O B-A I-A O", "O B-A I-A O"),
        ("I-A I-A B-A O", "B-A I-A B-A O"),  # IOB1: B only where another one is adjacent
        ("B-A I-B", "B-A B-B"),
        ("S-A B-A E-A S-B", "B-A B-A I-A B-B"),  # BIOES
        ("U-A B-A I-A L-A O", "B-A B-A I-A I-A O"),  # BILOU
        ("S-A I-A", "B-A B-A"),
        ("o b_A i_A", "O B-A I-A"),
        ("B-date-of-birth", "B-date-of-birth"),
    ],
)
def test_every_notation_is_read_as_bio(tags, bio):
    assert to_bio(tags.split(), 1) == tuple(bio.split())


def test_an_entity_is_counted_once_however_long_it_is():
    assert entity_types(["B-A", "I-A", "B-A", "O", "B-B"]) == ("A", "A", "B")
