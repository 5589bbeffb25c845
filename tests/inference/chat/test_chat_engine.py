"""The chat engine agrees with transformers and PEFT, token for token, whoever else is in the batch."""

import random

import pytest

from inference.pool.chat.base import ChatBase, load_chat_base
from inference.pool.chat.engine import ChatEngine, ChatLimits, PromptTooLong
from inference.pool.chat.requests import ChatRequest, Failed
from inference.pool.chat.sampling import Sampling
from tests.inference.chat.references import ALL_TARGETS, REAL, TINY_LENGTH, ChatReference
from tests.inference.chat.runs import Run, answer, answer_staggered, request

pytestmark = pytest.mark.xdist_group("chat engine")

LENGTHS = (1, 2, 17, 64, 65, 150)


def prompt_of(length: int, seed: int = 0) -> list[int]:
    choose = random.Random(seed)
    return [choose.randrange(3, 49152) for _ in range(length)]


@pytest.fixture
def engine(base: ChatBase) -> ChatEngine:
    return ChatEngine(base, ChatLimits())


@pytest.mark.parametrize("length", LENGTHS)
def test_greedy_is_what_generate_writes(engine: ChatEngine, plain: ChatReference, length: int) -> None:
    prompt = prompt_of(length, seed=length)
    expected = plain.greedy(prompt, 20)
    (outcome,) = answer(engine, request(prompt, max_tokens=20))
    assert (outcome.text, outcome.tokens) == (plain.decode(expected), len(expected))


def test_rows_of_any_adapter_join_and_leave_without_moving_each_other(
    engine: ChatEngine, base: ChatBase, references: list[ChatReference]
) -> None:
    choose = random.Random(1)
    requests = {}
    arrivals: dict[int, list[ChatRequest]] = {}
    for round_number in range(2):
        for index, reference in enumerate(references):
            prompt = prompt_of(choose.choice(LENGTHS), seed=10 * round_number + index)
            each = request(
                prompt, tenant=f"t{index}", adapter=reference.adapter(base), max_tokens=choose.randint(5, 25)
            )
            requests[each.id] = (reference, each)
            arrivals.setdefault(choose.randrange(30), []).append(each)
    outcomes = answer_staggered(engine, arrivals)
    for request_id, (reference, each) in requests.items():
        expected = reference.greedy(each.prompt, each.max_tokens)
        outcome = outcomes[request_id]
        assert (outcome.text, outcome.tokens) == (reference.decode(expected), len(expected))
    assert (engine.live_rows, engine.reserved_tokens, engine.queued_tokens) == (0, 0, 0)


def test_an_adapter_changes_the_answer(
    engine: ChatEngine, base: ChatBase, tuned: ChatReference, plain: ChatReference
) -> None:
    prompt = prompt_of(10)
    changed, unchanged = answer(
        engine, request(prompt, adapter=tuned.adapter(base), max_tokens=10), request(prompt, max_tokens=10)
    )
    assert changed.text != unchanged.text


def test_the_real_base_with_an_adapter_agrees_with_generate() -> None:
    folder = REAL.folder()
    real = load_chat_base(REAL.id)
    plain = ChatReference(folder)
    tuned = ChatReference(
        folder,
        base_id=REAL.id,
        base_digest=REAL.sha256,
        targets=ALL_TARGETS,
        layers=range(20, 30),
        strength=0.02,
    )
    prompts = ["What is the capital of France?", "Name three colours."]
    requests = []
    for reference in (plain, tuned):
        for text in prompts:
            prompt = reference.tokenizer.encode(
                f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
            ).ids
            requests.append((reference, request(prompt, adapter=reference.adapter(real), max_tokens=12)))
    outcomes = answer(ChatEngine(real, ChatLimits()), *(each for _, each in requests))
    for (reference, each), outcome in zip(requests, outcomes, strict=True):
        assert outcome.text == reference.decode(reference.greedy(each.prompt, 12))


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=1.0, seed=7),
        Sampling(temperature=0.8, top_p=0.9, seed=8),
        Sampling(temperature=1.2, seed=9, frequency_penalty=0.5, presence_penalty=0.5),
    ],
    ids=["whole", "nucleus", "penalties"],
)
def test_a_seed_gives_one_text_alone_and_in_company(
    engine: ChatEngine, base: ChatBase, references: list[ChatReference], sampling: Sampling
) -> None:
    adapters = [reference.adapter(base) for reference in references]

    def seeded() -> list[ChatRequest]:
        return [
            request(prompt_of(70 + index, seed=index), adapter=adapter, max_tokens=15, sampling=sampling)
            for index, adapter in enumerate(adapters)
        ]

    alone = [answer(engine, each)[0].text for each in seeded()]
    # Others that come before and after, and draw numbers of their own.
    company = [
        request(prompt_of(20 * n + 1), tenant="u", max_tokens=8, sampling=Sampling(seed=n)) for n in range(8)
    ]
    together = seeded()
    outcomes = answer_staggered(engine, {0: company[:4], 3: together, 5: company[4:]})
    assert [outcomes[each.id].text for each in together] == alone
    assert len(set(alone)) == len(alone)


def test_without_a_seed_texts_differ(engine: ChatEngine) -> None:
    drawn = [request(prompt_of(5), max_tokens=10, sampling=Sampling()) for _ in range(2)]
    first, second = answer(engine, *drawn)
    assert first.text != second.text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_adapter_of_nan_ends_its_own_row_only(
    engine: ChatEngine, base: ChatBase, references: list[ChatReference], value: float
) -> None:
    arrivals: dict[int, list[ChatRequest]] = {0: [], 4: [], 8: []}
    healthy = []
    for index, reference in enumerate(references[1:]):
        prompt = prompt_of(12 + index, seed=index)
        healthy.append((reference, request(prompt, adapter=reference.adapter(base), max_tokens=12)))
        arrivals[0].append(healthy[-1][1])
    broken = [request(prompt_of(70), adapter=r.broken(base, value), max_tokens=12) for r in references[1:]]
    arrivals[4], arrivals[8] = broken[:3], broken[3:]
    outcomes = answer_staggered(engine, arrivals)
    assert {outcomes[each.id].reason for each in broken} == {"adapter_broken"}
    for reference, each in healthy:
        assert outcomes[each.id].text == reference.decode(reference.greedy(each.prompt, 12))


def test_a_stop_string_over_several_tokens_ends_the_answer_before_it(
    engine: ChatEngine, plain: ChatReference
) -> None:
    prompt = prompt_of(9)
    whole = plain.decode(plain.greedy(prompt, 20))
    stop = whole[len(whole) // 2 : len(whole) // 2 + 12]
    (outcome,) = answer(engine, request(prompt, max_tokens=20, stop=(stop, "never said")))
    assert (outcome.text, outcome.reason) == (whole[: whole.index(stop)], "stop")
    assert outcome.tokens < 20


def test_the_end_token_ends_the_answer_and_is_no_text(base: ChatBase, plain: ChatReference) -> None:
    prompt = prompt_of(9)
    tokens = plain.greedy(prompt, 8)
    first = tokens.index(tokens[5])
    ended = ChatEngine(base, ChatLimits())
    ends = base.decoder.config.end_ids
    object.__setattr__(base.decoder.config, "end_ids", frozenset({tokens[5]}))
    try:
        (outcome,) = answer(ended, request(prompt, max_tokens=8))
    finally:
        object.__setattr__(base.decoder.config, "end_ids", ends)
    assert (outcome.text, outcome.reason) == (plain.decode(tokens[:first]), "stop")
    assert outcome.tokens == first + 1


def test_an_answer_ends_where_the_context_does(engine: ChatEngine) -> None:
    outcomes = answer(
        engine,
        request(prompt_of(TINY_LENGTH - 7)),
        request(prompt_of(TINY_LENGTH - 1), max_tokens=1_000_000),
        request(prompt_of(3), max_tokens=4),
    )
    assert [(outcome.reason, outcome.tokens) for outcome in outcomes] == [
        ("length", 7),
        ("length", 1),
        ("length", 4),
    ]


def test_a_prompt_that_leaves_no_room_is_refused(engine: ChatEngine) -> None:
    with pytest.raises(PromptTooLong, match=f"{TINY_LENGTH} tokens"):
        engine.add(request(prompt_of(TINY_LENGTH)))
    assert not engine.busy


def test_memory_for_less_than_one_row_is_refused(base: ChatBase) -> None:
    with pytest.raises(ValueError, match="at least 256 tokens"):
        ChatEngine(base, ChatLimits(kv_tokens=TINY_LENGTH - 1))


def test_a_row_waits_until_the_memory_has_room(base: ChatBase) -> None:
    engine = ChatEngine(base, ChatLimits(kv_tokens=TINY_LENGTH))
    first = request(prompt_of(100), tenant="a", max_tokens=50)
    second = request(prompt_of(100), tenant="b", max_tokens=50)
    small = request(prompt_of(2), tenant="c", max_tokens=2)
    run = Run(engine)
    engine.add(first)
    engine.add(second)
    run.step()
    engine.add(small)
    while run.outcomes[first.id].end is None:
        run.step()
        assert engine.reserved_tokens <= TINY_LENGTH
        # The small one would fit, but to let it pass would keep the large one waiting for ever.
        assert run.outcomes[second.id].pieces == run.outcomes[small.id].pieces == []
    run.finish()
    assert run.outcomes[second.id].tokens == 50
    assert run.outcomes[small.id].tokens == 2


def test_a_cancelled_request_leaves_at_once_and_another_takes_its_place(base: ChatBase) -> None:
    engine = ChatEngine(base, ChatLimits(rows=1))
    live, waiting, after = (request(prompt_of(5), max_tokens=200) for _ in range(3))
    run = Run(engine)
    for each in (live, waiting, after):
        engine.add(each)
    run.step()
    engine.cancel(live.id)
    engine.cancel(waiting.id)
    engine.cancel("unknown")
    assert (engine.live_rows, engine.reserved_tokens) == (0, 0)
    run.finish()
    assert run.outcomes[after.id].tokens == 200
    assert waiting.id not in run.outcomes
    assert run.outcomes[live.id].end is None


def test_a_long_prompt_does_not_stop_the_rows_that_decode(engine: ChatEngine, plain: ChatReference) -> None:
    run = Run(engine)
    decoding = request(prompt_of(5), max_tokens=30)
    engine.add(decoding)
    run.step()
    engine.add(request(prompt_of(240), max_tokens=2))
    before = engine.tokens_read
    run.step()
    # One token of the row, and no more of the prompt than a chunk.
    assert engine.tokens_read - before == 1 + ChatLimits().chunk_tokens
    run.finish()
    assert run.outcomes[decoding.id].text == plain.decode(plain.greedy(decoding.prompt, 30))


def test_a_step_that_fails_gives_up_its_rows_and_the_engine_lives_on(
    engine: ChatEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = request(prompt_of(5), max_tokens=5)
    engine.add(lost)
    with monkeypatch.context() as patch:
        patch.setattr(engine.base.decoder.__class__, "forward", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.step(0)
    assert engine.abandon() == [Failed(lost.id, "engine_failed", "The engine failed.")]
    assert engine.reserved_tokens == 0
    assert answer(engine, request(prompt_of(5), max_tokens=5))[0].tokens == 5
