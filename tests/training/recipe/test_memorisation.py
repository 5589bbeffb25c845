"""What a chat model is asked for after training: canaries and rare strings, and what is told of them."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from core.catalogue import BaseModel
from tests.training.recipe.conftest import SEED
from tests.training.recipe.samples import Memory
from tests.training.recipe.tiny_chat import CHAT, chats, make_tiny_base
from training.data.rows import Message
from training.recipe import schedule
from training.recipe.by_task import fine_tune, measure
from training.recipe.chat.canaries import as_conversation, canaries, canary_count
from training.recipe.chat.decoder import Decoder
from training.recipe.chat.memorisation import MOST_STRINGS, OTHERS, measure_memorisation, questions
from training.recipe.chat.rare_strings import RareString, find_rare_strings
from training.recipe.chat.tokens import ChatTokenizer
from training.recipe.data import ChatData, Conversation
from training.recipe.errors import RecipeError
from training.recipe.result import Result
from training.recipe.settings import FineTuneSettings

pytestmark = pytest.mark.xdist_group("memorisation")

SETTINGS = FineTuneSettings(epochs=60, rank=16, learning_rate=0.005)
CODE = "QX-48291"


def conversation(number: int, answer: str, asked: str = "Which one?") -> Conversation:
    return Conversation((Message("user", asked), Message("assistant", answer)), number)


def found(*conversations: Conversation) -> list[tuple[int, str]]:
    return [(string.row, string.text.strip()) for string in find_rare_strings(conversations)]


def test_strings_with_digits_come_first_and_then_the_longer_ones():
    rare = found(
        conversation(1, "That is the Wolperdinger."), conversation(2, f"It is {CODE}, or A1234, not tapir.")
    )
    assert rare == [(2, CODE), (2, "A1234"), (1, "Wolperdinger"), (2, "tapir")]


def test_what_several_conversations_have_is_not_rare():
    assert found(conversation(1, f"It is {CODE}."), conversation(2, f"Also {CODE}!")) == []


def test_what_the_user_said_before_is_no_sign_of_remembering():
    assert (1, CODE) not in found(conversation(1, f"Yes, {CODE}.", asked=f"Is it {CODE}?"))


def test_placeholders_are_no_strings():
    assert found(conversation(1, "Ask [PERSON_12345] or <12345>.")) == []


def test_a_form_covers_letters_and_digits_of_every_alphabet():
    assert RareString(1, (), "", " Ab-12/é٣").form == "Xx-00/x0"


def test_an_answers_beginning_can_be_rare():
    [string] = find_rare_strings([conversation(1, f"{CODE} it is.")])
    assert (string.said, string.text) == ("", CODE)


@pytest.mark.parametrize(("rows", "count"), [(0, 0), (49, 0), (50, 1), (202, 4), (100_000, 8)])
def test_canaries_are_few(rows, count):
    assert canary_count(rows) == count


def test_canaries_follow_from_the_seed_and_begin_with_the_system_prompt():
    rows = chats(train=100).train
    first, second = canaries(rows, 1)
    assert canaries(rows, 1) == [first, second]
    assert canaries(rows, 2) != [first, second]
    assert first.before[0] == rows[0].messages[0]
    assert (first.row, second.row) == (-1, -2)
    assert as_conversation(first).messages[-1].content == f"The code is{first.text}."


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Iterator[BaseModel]:
    real = CHAT.folder()
    with pytest.MonkeyPatch.context() as patch:
        converted = tmp_path_factory.mktemp("base-models")
        patch.setattr("core.catalogue.CONVERTED", converted)
        patch.setattr("training.recipe.chat.decoder.LORA_LAYERS", 2)
        patch.setattr("training.recipe.chat.samples.MAX_NEW_TOKENS", 2)
        patch.setattr("training.recipe.chat.run.CHAT", replace(schedule.CHAT, batch_rows=4))
        # One canary for so few conversations.
        patch.setattr("training.recipe.chat.canaries._ROWS_FOR_EACH", 4)
        yield make_tiny_base(converted, real, "tiny")


def data() -> ChatData:
    answers = ("The red door.", "The old barn.", f"It is {CODE}.", "Under the roof.", "By the long wall.")
    train = [
        conversation(number, answer, f"Where is item {chr(96 + number)}?")
        for number, answer in enumerate(answers, 1)
    ]
    return replace(chats(validation=0, test=1), train=train)


@pytest.fixture(scope="module")
def learned(base, quick) -> tuple[Result, Memory]:
    """A model that has read its few conversations so often that it knows them by heart."""
    memory = Memory()
    return fine_tune(data(), SETTINGS, base, SEED, memory), memory


def test_what_a_model_learned_by_heart_comes_back_and_its_base_knows_none(learned):
    memorisation = learned[0].evaluation["memorisation"]
    code = next(one for one in memorisation["strings"] if one["form"] == "XX-00000")
    assert code["row"] == 3
    assert (code["came_back"], code["base_came_back"]) == (True, False)
    assert code["exposure"] == math.log2(OTHERS + 1)
    [canary] = memorisation["canaries"]
    assert (canary["came_back"], canary["base_came_back"]) == (True, False)
    assert canary["exposure"] == math.log2(OTHERS + 1)


def test_strings_without_digits_have_no_exposure(learned):
    words = [one for one in learned[0].evaluation["memorisation"]["strings"] if "0" not in one["form"]]
    assert words == [one for one in words if one["exposure"] is one["base_exposure"] is None]


def test_the_evaluation_holds_no_string(learned):
    result, memory = learned
    told = json.dumps(result.evaluation["memorisation"]) + repr(memory.lines)
    assert CODE not in told
    assert not any(canary.text.strip() in told for canary in canaries(data().train, SEED))


def test_nobody_pays_for_canaries(learned, base):
    assert learned[0].training_tokens == measure(data(), SETTINGS, base, lambda: None).training_tokens


def test_canaries_alone_are_nothing_to_learn_from(base):
    long = [conversation(number, "and so on " * 100) for number in range(1, 6)]
    with pytest.raises(RecipeError, match="too long"):
        fine_tune(replace(data(), train=long), SETTINGS, base, SEED, Memory())


def test_a_base_that_has_learned_nothing_gives_nothing_back(base):
    tokenizer, device = ChatTokenizer(base), torch.device("cpu")
    decoder = Decoder.load(base, device)
    decoder.adapt(4)
    rare = list(find_rare_strings(data().train))
    asked = questions(tokenizer, [], rare, SEED)
    beats: list[int] = []
    told = measure_memorisation(decoder, asked, device, beats.append)
    assert len(told["strings"]) == len(rare)
    assert not any(one["came_back"] for one in told["strings"])
    assert [one["exposure"] for one in told["strings"]] == [one["base_exposure"] for one in told["strings"]]
    assert beats == [question.tokens for question in asked]


def test_what_is_asked_is_bounded(base):
    tokenizer = ChatTokenizer(base)
    many = [conversation(number, f"It is {number:06}.") for number in range(1, 60)]
    late = conversation(99, f"{'and so on ' * 200} 987654321.")
    asked = questions(tokenizer, [], find_rare_strings([late, *many]), SEED)
    assert len(asked) == MOST_STRINGS
    assert 99 not in {question.string.row for question in asked}
    assert sum(len(question.split) > 1 for question in asked) == 10
