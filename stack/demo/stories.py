"""Who the demo is about: two tenants with data, models and apps of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"

STAFF_EMAIL = "finance@adaptary.example"


@dataclass(frozen=True)
class Story:
    """One tenant. Its app sends `requests`, each a list of texts, to `model`, which learns from `file`, and is billed by `plan`, or by the one that tenants begin with."""

    company: str
    person: str
    email: str
    file: Path
    dataset: str
    model: str
    plan: str | None
    app: str
    requests: Sequence[Sequence[str]]


STORIES = (
    Story(
        company="Larkspur Home",
        person="Ada Okafor",
        email="ada@larkspur.example",
        file=EXAMPLES / "support_messages.csv",
        dataset="Support messages",
        model="support",
        plan="pay-as-you-go",
        app="Help desk",
        requests=(
            ("Where is my parcel? It was due on Monday.",),
            (
                "I'm Jonas Weber, jonas.weber@mail.example. Please send my money back, the lamp is broken.",
                "I can't log in any more since I changed my phone.",
                "Please end my subscription at the end of the month.",
                "Why are there two charges on my bill from October?",
            ),
        ),
    ),
    Story(
        company="Brookside Living",
        person="Luis Prado",
        email="luis@brookside.example",
        file=EXAMPLES
        / "support_messages.csv",  # the same rows: what differs is whose they are, and the pseudonyms
        dataset="Inbox",
        model="inbox",
        plan=None,
        app="Mail router",
        requests=(("The drawer arrived scratched, I want a refund.",), ("Does the sofa come in green?",)),
    ),
)
