"""vLLM with adapters, asked over standard input and output. Runs in vLLM's own environment (benchmarks/vllm_cpu.py).

`python vllm_worker.py MODEL ADAPTERS…`: the folders of the base and of each adapter as PEFT writes it. Each line in is
`{"prompts": [[token, …], …], "tokens": …}`: a prompt for each of the first adapters. Each line out is
`{"seconds": …, "answers": [[token, …], …]}`: the processor's seconds that writing so many tokens greedily took.
"""

import json
import os
import sys
import time
from typing import TextIO

from vllm import LLM, SamplingParams  # type: ignore[import-not-found]
from vllm.lora.request import LoRARequest  # type: ignore[import-not-found]


def main(model: str, adapters: list[str], output: TextIO) -> None:
    """Answer lines until standard input ends."""
    engine = LLM(
        model=model,
        dtype="float32",
        enable_lora=True,
        max_loras=len(adapters),
        max_lora_rank=16,
        max_model_len=256,
        max_num_seqs=len(adapters),
        disable_log_stats=True,
    )
    loaded = [LoRARequest(folder, number, folder) for number, folder in enumerate(adapters, start=1)]
    for line in sys.stdin:
        order = json.loads(line)
        prompts = [{"prompt_token_ids": prompt} for prompt in order["prompts"]]
        sampling = SamplingParams(
            temperature=0, max_tokens=order["tokens"], ignore_eos=True, detokenize=False
        )
        started = time.process_time()
        answers = engine.generate(prompts, sampling, lora_request=loaded[: len(prompts)], use_tqdm=False)
        seconds = time.process_time() - started
        tokens = [list(answer.outputs[0].token_ids) for answer in answers]
        print(json.dumps({"seconds": seconds, "answers": tokens}), file=output, flush=True)


if __name__ == "__main__":
    # vLLM logs to standard output, which is for answers: what it writes there goes to standard error.
    answers_only = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    main(sys.argv[1], sys.argv[2:], answers_only)
