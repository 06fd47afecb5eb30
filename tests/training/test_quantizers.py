"""The comparison of quantizers in docs/calibrate.md can be made again; here with few pictures, and without the one that
wants an environment of its own."""

import pytest

from training.quantizers import others
from training.quantizers.compare import compare, table


def test_trtkit_and_onnxruntime_on_the_same_pictures(tmp_path):
    pytest.importorskip("tensorrt_rtx_bindings")
    rows = compare("dct_net", "head", 288, tmp_path, None, limit=2)
    assert [row.quantizer.partition(" (")[0] for row in rows] == [
        "trtkit",
        "ONNX Runtime",
        "ONNX Runtime, trtkit's layers",
    ]
    for row in rows:
        assert (row.checker, row.runs, row.parsed) == ("", "", "")
        assert row.figures["images"] == 2
        assert row.layers == 18
    assert [row.int8 for row in rows] == [16, 18, 16]
    assert rows[0].figures["psnr"] > max(row.figures["psnr"] for row in rows[1:]), "else the default is another"
    assert table(rows).count("accepted") == 3


def test_a_quantizer_that_fails_is_a_row_with_its_reason(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(others, "onnxruntime_static", fail)
    failed = compare("dct_net", "head", 288, tmp_path, None, limit=1)[1]
    assert failed.figures is None
    assert "ONNX Runtime: no such operator" in table([failed])
