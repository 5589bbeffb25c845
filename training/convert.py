"""`python -m training.convert`: what Adaptary makes of its packages' files when it is installed.

Base models that their packages hold as GGUF become what torch loads. Numbers are unpacked to fp32 as GGUF defines them,
without any rounding of ours, so that every machine gets the same file, whose digest the catalogue names. The tagger of
personal data is made of its base model and its adapter, as what processes without torch run.
"""

import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from core.catalogue import (
    CONVERTED,
    DEFAULT_BASE_MODEL,
    WEIGHTS_FILE,
    BaseModel,
    BaseModelUnavailable,
    get_base_model,
    list_base_models,
    sha256_of,
)
from core.privacy.tagger import ADAPTER, FACTS_FILE, GRAPH_FILE, Facts
from core.privacy.tagger import FOLDER as TAGGER_FOLDER

# What a model's configuration says of where it was read from.
_FOREIGN_KEYS = ("quantization_config", "_name_or_path", "_model_name_or_path")


def main() -> None:
    """Convert the base models of the catalogue that are not yet, and make the tagger."""
    try:
        for model in list_base_models():
            if model.gguf_sha256 is not None and not _is_converted(model):
                print(f"Converting {model.title}, once ...", flush=True)
                convert(model)
        print("Making the tagger of personal data ...", flush=True)
        make_tagger(TAGGER_FOLDER)
    except BaseModelUnavailable as error:
        sys.exit(str(error))


def convert(model: BaseModel) -> None:
    """Put weights, configuration and tokenizer of `model` into its folder, whole or not at all.

    Raises BaseModelUnavailable where its package is missing or holds another file.
    """
    source = model.package_file()
    if sha256_of(source) != model.gguf_sha256:
        raise BaseModelUnavailable(f"{source.name} is not the file that the catalogue names for {model.id}.")
    CONVERTED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CONVERTED) as name:
        made = Path(name) / model.id
        made.mkdir()
        _write(source, made)
        if sha256_of(made / WEIGHTS_FILE) != model.sha256:
            raise BaseModelUnavailable(f"{model.id} did not convert to the weights that the catalogue names.")
        shutil.rmtree(CONVERTED / model.id, ignore_errors=True)
        made.rename(CONVERTED / model.id)


def make_tagger(folder: Path, adapter: Path = ADAPTER) -> None:
    """Put the graph of the tagger with `adapter` into `folder`, whole or not at all.

    Raises BaseModelUnavailable where its base model's package is missing or holds another file.
    """
    import onnx

    from training.pii_model.graph import adapter_tags, tagger_graph

    base = get_base_model(DEFAULT_BASE_MODEL)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        made = Path(name) / folder.name
        made.mkdir()
        onnx.save(tagger_graph(base, adapter), made / GRAPH_FILE)
        facts = Facts(
            adapter=sha256_of(adapter),
            base=base.sha256,
            graph=sha256_of(made / GRAPH_FILE),
            tags=tuple(adapter_tags(adapter)),
        )
        (made / FACTS_FILE).write_text(json.dumps(asdict(facts), indent=2), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def _write(source: Path, folder: Path) -> None:
    # The catalogue's files are all there is: nothing is looked up elsewhere.
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    # The head's weights are the embeddings'.
    tensors = {
        name: tensor.contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"
    }
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    config = {key: value for key, value in model.config.to_dict().items() if key not in _FOREIGN_KEYS}
    (folder / "config.json").write_text(json.dumps(config, indent=2, default=str), encoding="utf-8")
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)


def _is_converted(model: BaseModel) -> bool:
    try:
        model.verify()
    except BaseModelUnavailable:
        return False
    return True


if __name__ == "__main__":
    main()
