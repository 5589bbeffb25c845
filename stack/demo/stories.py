"""Who the demo is about: two tenants with data, models and apps of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.catalogue import Task

EXAMPLES = Path(__file__).parents[2] / "examples"

STAFF_EMAIL = "finance@adaptary.example"


@dataclass(frozen=True)
class Story:
    """One tenant. Its app sends `requests`, each a list of texts, to `model`, which learns from `file`, and is billed
    by `plan`, or by the one that tenants begin with.

    For a chat model each request is one conversation's questions, and `system` what it is told before them.
    """

    company: str
    person: str
    email: str
    file: Path
    dataset: str
    model: str
    plan: str | None
    app: str
    requests: Sequence[Sequence[str]]
    task: Task = Task.CLASSIFICATION
    system: str = ""


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
        company="Tilbrook Home",
        person="Luis Prado",
        email="luis@tilbrook.example",
        file=EXAMPLES / "support-chat.jsonl",
        dataset="Questions and answers",
        model="assistant",
        plan=None,
        app="Website chat",
        requests=(
            ("What does the code E07 on my coffee machine mean?",),
            ("How much is next day delivery?", "Do you also deliver on Saturdays?"),
            ("My plates arrived broken. What can I do?",),
        ),
        task=Task.CHAT,
        system="You are the support assistant of Tilbrook Home, a shop for household goods and subscriptions. "
        "Answer in one or two friendly sentences.",
    ),
)
