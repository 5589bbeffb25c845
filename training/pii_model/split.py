"""Which texts of the synthetic set train the tagger and which measure it.

presidio-research's set fills 209 templates with made-up values. The texts of one template differ in their values only, so
that a split by text would measure sentences that were trained on: whole templates are held out.
"""


def held_out(template: int) -> bool:
    """Whether the texts of the template with this number measure, and so must never be trained on or tuned by."""
    return template % 2 == 1
