"""A transformer valuator in other people's programs: sentence-transformers, and ONNX in onnxruntime."""

import numpy as np
import pytest

pytest.importorskip("torch")
sentence_transformers = pytest.importorskip("sentence_transformers")

from alinfik import Scorer, onnx  # noqa: E402
from conftest import CORNERS, make_texts  # noqa: E402


@pytest.fixture(scope="module")
def expected(command, transformer_valuator):
    texts = make_texts(150, seed=3)
    with Scorer(transformer_valuator, command=command, options=["--raw"]) as scorer:
        scores = np.array([answer["alinfik_score"] for answer in scorer.score({"text": text} for text in texts)])
    assert np.ptp(scores) > 0.1, "scores that hardly differ prove nothing"
    return texts, scores


def test_sentence_transformers_loads_it_as_it_stands(transformer_valuator, expected):
    texts, scores = expected
    model = sentence_transformers.SentenceTransformer(transformer_valuator, device="cpu", trust_remote_code=False)
    theirs = model.encode(texts, show_progress_bar=False)
    assert theirs.shape == (len(texts), 1)
    assert np.abs(theirs[:, 0] - scores).max() < 1e-4


def test_onnxruntime_gives_the_same_scores(command, transformer_valuator, expected, tmp_path, capsys):
    arguments = [transformer_valuator, "--output-dir", str(tmp_path), "--command", command]
    assert onnx.main(arguments) == 0, capsys.readouterr().err
    scorer = onnx.OnnxScorer(tmp_path)
    texts, scores = expected
    assert np.abs(scorer.score(texts) - scores).max() < onnx.TOLERANCE
    for place in range(0, 21, 7):
        assert abs(scorer.score([texts[place]])[0] - scores[place]) < onnx.TOLERANCE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "tokenizer.json", "tokenizer_config.json"]


def test_a_model_that_differs_is_told(command, transformer_valuator, tmp_path, monkeypatch, capsys):
    """The check can fail: tokens are cut earlier than the valuator cuts them."""
    onnx.export(transformer_valuator, tmp_path)
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace("128", "4"))
    assert onnx.worst_difference(transformer_valuator, tmp_path, CORNERS, command) > onnx.TOLERANCE
    monkeypatch.setattr(onnx, "export", lambda valuator, output_dir: None)
    arguments = [transformer_valuator, "--output-dir", str(tmp_path), "--command", command]
    assert onnx.main(arguments) == 64 and "--force" in capsys.readouterr().err
    assert onnx.main(arguments + ["--force"]) == 65 and "more than 0.0001" in capsys.readouterr().err
    assert not (tmp_path / "model.onnx").exists()


def test_other_encoders_are_refused(valuator, tmp_path, capsys):
    assert onnx.main([valuator, "--output-dir", str(tmp_path / "out")]) == 65
    assert "first-layers" in capsys.readouterr().err and not (tmp_path / "out").exists()
