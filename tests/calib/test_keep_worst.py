"""`--keep-fp16 N`, and two calibrations of one network at once."""

import pytest

from tests.small_matting import with_int8
from trtkit import manifest
from trtkit.calib import run, scales
from trtkit.calib.run import Wish, calibrate
from trtkit.calib.standing import int8_form
from trtkit.errors import Mistake
from trtkit.files import sha256


def test_what_engines_yaml_keeps_already_is_not_counted(make_target, small_config, photographs):
    asked = Wish(photographs, limit=2, sensitivity=True)
    dearest = [cost.name for cost in calibrate(make_target(), asked).costs]
    blocked = make_target(config=with_int8(small_config, keep_fp16=[dearest[0]]))
    done = calibrate(blocked, Wish(photographs, limit=2, keep_worst=1))
    assert done.worst == [dearest[1]]
    assert set(dearest[:2]) <= set(done.manifest.made_with.flags["fp16"])


def test_keeping_them_all_is_said_before_anything_is_measured(target, photographs, monkeypatch):
    monkeypatch.setattr(run, "_measure", lambda *given: pytest.fail("measured"))
    with pytest.raises(Mistake, match=r"--keep-fp16 1000 leaves cv_unet/matting no convolution in INT8, of (\d+) that"):
        calibrate(target, Wish(photographs, keep_worst=1000))
    assert not target.scales.exists()


def test_a_form_is_never_recorded_as_made_of_the_scales_of_a_calibration_beside_it(
    make_target, photographs, monkeypatch, tmp_path
):
    """Another process writes its scales between this one's writing and its form: the pair must not pass as one."""
    other = make_target(tmp_path / "other")
    calibrate(other, Wish(photographs, method="percentile"))
    target = make_target()
    ours = {}
    write = scales.write

    def overtaken(path, found):
        ours["sum"] = write(path, found)
        path.write_bytes(other.scales.read_bytes())
        return ours["sum"]

    monkeypatch.setattr(run.scales, "write", overtaken)
    calibrate(target, Wish(photographs))
    assert manifest.read(target.onnx("int8")).made_of.calibration_sha256 == ours["sum"] != sha256(target.scales)
    with pytest.raises(Mistake, match=r"was not made of matting\.scales\.json"):
        int8_form(target)
