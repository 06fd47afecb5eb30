"""The pipeline between its networks: what they know about a picture must come out as its faces."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.models.hrn.known_networks import Truth, networks, scene
from trtkit.errors import Mistake, TrtkitError
from trtkit.models.hrn import assets, reconstruct, specs
from trtkit.models.hrn.coefficients import join
from trtkit.models.hrn.geometry import face_model, light, normals, pose, uv_map
from trtkit.models.hrn.geometry.align import five_of_68, frame_of
from trtkit.models.hrn.geometry.resize import bilinear
from trtkit.models.hrn.options import NEEDED, Options
from trtkit.models.hrn.output.coefficients_json import document
from trtkit.models.hrn.pipeline import FaceReconstruction
from trtkit.models.hrn.progress import STAGES
from trtkit.models.hrn.synthetic import portrait
from trtkit.models.imaging.decode import Picture, decode
from trtkit.models.pipeline import Files, StageClock, picture_of


@pytest.fixture(scope="module")
def loaded(synthetic_assets):
    return assets.load(synthetic_assets)


@pytest.fixture(scope="module")
def one(face, uv):
    return scene(face, uv, [(140, 60, 300)], (420, 600))


@pytest.fixture
def run(loaded, tmp_path):
    """(image, truths, options…) → (faces, counts of runs, backends)."""

    def reconstruct(image, truths, heights=(0.0, 0.0), blind=(), watcher=None, masks=None, **options):
        backends, counts = networks(truths, image.shape[:2], heights, blind)
        pipeline = FaceReconstruction(backends, loaded, Options(**options), tmp_path, masks)
        picture = Picture(image, None, image.shape[:2], Path("face.jpg"))
        return pipeline.reconstruct(picture, StageClock(watcher)), counts, backends

    return reconstruct


def _pixels_off(found, wanted):
    return np.linalg.norm(found - wanted, axis=-1)


def test_landmarks_come_back_within_two_pixels_on_average(one, run):
    """All that lies between: box, squares, crops, heat maps of 64 cells, whole pixels."""
    image, truths = one
    faces, _, _ = run(image, truths, output="coeffs")
    off = _pixels_off(faces.points[0], truths[0].points) * faces.frames[0].scale
    assert off.mean() < 2
    assert off.max() < 4, "a cell of FAN is 3.4 pixels there"
    np.testing.assert_allclose(faces.boxes[0], truths[0].box, atol=2)


def test_vertices_are_those_of_the_coefficients(one, run, face):
    image, truths = one
    faces, _, _ = run(image, truths, output="mesh")
    parts = truths[0].face
    np.testing.assert_allclose(faces.vector, join(parts), atol=1e-6)
    wanted = face_model.shape(face, parts.identity, parts.expression)
    wanted = pose.place(wanted, pose.rotation(parts.angles), parts.place)
    width = np.ptp(wanted[..., 0])
    assert np.abs(faces.mid.world - wanted).max() < 1e-4 * width


def test_crop_shows_the_face_where_the_coefficients_project_it(one, run, face, loaded):
    """The 224 crop and the camera are one frame: the picture's landmarks fall on the projected ones, up to the pose
    that alignment takes out."""
    image, truths = one
    faces, _, backends = run(image, truths, output="coeffs")
    crop = backends["net_recon"].batches[0][0]
    frame = faces.frames[0]
    inside = truths[0].points * frame.scale - [frame.left, frame.top]
    exact = frame_of(five_of_68(truths[0].points), loaded.standard, image.shape[:2], 224)
    wanted = truths[0].points * exact.scale - [exact.left, exact.top]
    assert _pixels_off(inside, wanted).max() < 2.5
    # The aligned face stands as the portrait was drawn, its scale and place taken from five noisy points.
    drawn = (truths[0].points - [140, 60]) * 224 / 300
    drawn, inside = drawn - drawn.mean(axis=0), inside - inside.mean(axis=0)
    ratio = np.linalg.norm(inside) / np.linalg.norm(drawn)
    assert 0.8 < ratio < 1.25
    assert _pixels_off(inside, drawn * ratio).max() < 0.5
    assert crop.shape == (224, 224, 3)


def test_each_output_runs_its_networks_and_no_other(one, run):
    image, truths = one
    for output, needed in NEEDED.items():
        _, counts, _ = run(image, truths, output=output)
        wanted = {spec.name: 1 for spec in needed} | {"landmarks106": 2}
        assert dict(counts) == wanted, output
    assert [spec.name for spec in NEEDED["coeffs"]] == ["retinaface", "landmarks106", "s3fd", "fan", "net_recon"]
    assert Options(output="uv").skipped == ("high_net", "de_retouch")


def test_ten_faces_go_through_each_network_in_two_runs(face, uv, run):
    places = [(20 + 190 * (k % 5), 10 + 210 * (k // 5), 180) for k in range(10)]
    image, truths = scene(face, uv, places, (430, 980))
    faces, counts, backends = run(image, truths, output="mesh", all_faces=True)
    assert len(faces.vector) == 10
    assert counts["net_recon"] == counts["fan"] == counts["mid_net"] == 2, "any number in one would take any memory"
    assert [len(batch) for batch in backends["fan"].batches] == [8, 2]
    for k, truth in enumerate(truths):
        assert (_pixels_off(faces.points[k], truth.points) * faces.frames[k].scale).mean() < 2
    alone, _, _ = run(image, truths, output="mesh")
    assert len(alone.vector) == 1
    np.testing.assert_allclose(alone.mid.world[0], faces.mid.world[0], atol=1e-5)
    np.testing.assert_allclose(alone.mid.texture[0], faces.mid.texture[0], atol=1e-5)


def test_texture_is_the_lit_albedo_that_was_drawn(face, uv):
    """Drawn at 512 by known coefficients and sampled again through them, a face has its colours where they were."""
    drawn = portrait.random_face(np.random.default_rng(4))
    picture, _, _ = portrait.picture(face, uv, drawn, 512)
    found = reconstruct.base(join(drawn), face, uv, picture[None], np.ones((1, 224, 224), np.float32))
    facing = uv_map.world_to_uv(normals.of_vertices(found.shape, face) @ found.turn, uv)
    albedo = bilinear(face_model.albedo_map(face, drawn.albedo), (256, 256))
    wanted = light.shade(albedo, facing, drawn.light)[0]
    seen = np.s_[60:230, 70:186]
    gap = np.abs(found.texture[0][seen] - wanted[seen].clip(0, 1))
    assert gap.mean() < 0.02, "the swapped rows and one interpolation more"
    assert np.quantile(gap, 0.95) < 0.08


def test_deformation_moves_vertices_where_the_skin_is_seen(one, run, face, uv):
    image, truths = one
    still, _, _ = run(image, truths, output="mesh")
    moved, _, backends = run(image, truths, output="mesh", heights=(0.02, 0.0))
    gap = moved.mid.shape - still.mid.shape
    inner = np.flatnonzero((np.abs(face.uvs - 0.5) < 0.3).all(axis=1))
    np.testing.assert_allclose(gap[0, inner], 0.02, atol=1e-5)
    maps = backends["mid_net"].batches[0]
    assert np.abs(maps[:, :3]).max() < 2, "positions in decimetres"
    assert maps[:, 3:].min() >= -1
    assert maps[:, 3:].max() <= 1


def test_detail_keeps_smooth_normals_without_displacement(one, run, uv):
    image, truths = one
    faces, _, backends = run(image, truths, output="all")
    fine, base = faces.detail, faces.base
    covered = (base.valid[0] > 0.99) & uv.covered
    wanted = uv_map.world_to_uv(faces.mid.facing, uv)
    np.testing.assert_allclose(fine.normals, wanted, atol=1e-5)
    np.testing.assert_allclose(np.median(np.linalg.norm(fine.normals[0][covered], axis=-1)), 1, atol=1e-3)
    assert fine.shaded.shape == (1, 256, 256, 3)
    assert fine.albedo[0][covered].min() > 0.05
    assert fine.albedo[0][covered].max() < 1.1
    maps = backends["high_net"].batches[0]
    assert maps.shape == (1, 9, 256, 256)
    np.testing.assert_array_equal(maps[:, 6:], 0)


def test_displacement_turns_normals_only_where_it_changes(one, run):
    image, truths = one
    flat, _, _ = run(image, truths, output="all")
    raised, _, _ = run(image, truths, output="all", heights=(0.0, 0.01))
    inner = np.s_[0, 100:150, 100:150]
    np.testing.assert_allclose(raised.detail.displacement[inner], 0.01, atol=1e-4)
    np.testing.assert_allclose(raised.detail.normals[inner], flat.detail.normals[inner], atol=0.05)


@pytest.mark.parametrize(
    ("output", "last"), [("coeffs", "reconstruct"), ("uv", "deform"), ("mesh", "deform"), ("all", "detail")]
)
def test_every_step_is_told_once_as_it_begins_and_as_it_ends(output, last, one, run):
    image, truths = one
    told = []
    run(image, truths, output=output, watcher=lambda step, seconds: told.append((step, seconds)))
    steps = [step for step in STAGES if step not in ("mask", "files")]
    steps = steps[: steps.index(last) + 1]
    assert [step for step, seconds in told if seconds is None] == steps
    assert [step for step, seconds in told if seconds is not None] == steps
    assert len(set(STAGES.values())) == 3


def test_the_mask_says_where_the_face_is_deformed(one, run):
    image, truths = one
    told = []

    def upper_half(crops):
        masks = np.ones(crops.shape[:3], np.float32)
        masks[:, 112:] = 0
        return masks

    whole, _, _ = run(image, truths, heights=(0.02, 0.0))
    half, _, _ = run(
        image, truths, heights=(0.02, 0.0), masks=upper_half, watcher=lambda step, seconds: told.append(step)
    )
    moved = np.abs(half.mid.map[0]).sum(axis=-1)
    assert (moved[8:16, 24:40] > 0.05).all()
    assert (moved[48:56, 24:40] == 0).all(), "below the crop's middle nothing is the face's"
    assert (np.abs(whole.mid.map[0]).sum(axis=-1)[48:56, 24:40] > 0.05).all()
    assert told.index("align") < told.index("mask") < told.index("reconstruct")
    numbers, _, _ = run(image, truths, output="coeffs", masks=lambda crops: pytest.fail("numbers need no mask"))
    assert numbers.mid is None


def test_of_several_pictures_one_that_fails_is_kept_for_its_turn(one, loaded, tmp_path):
    """The batch goes on; `finish` raises what that one picture met."""
    image, truths = one
    backends, _ = networks(truths, image.shape[:2])
    surest = backends["retinaface"].run
    calls = []

    def first_only(arrays):
        calls.append(1)
        found = surest(arrays)
        return found if len(calls) == 1 else found | {"scores": found["scores"] * 0}

    backends["retinaface"].run = first_only
    pipeline = FaceReconstruction(backends, loaded, Options("coeffs"), tmp_path)
    pictures = [Picture(image, None, image.shape[:2], Path(f"{name}.jpg")) for name in "ab"]
    clock = StageClock()
    good, bad = pipeline.run([pipeline.prepare(picture, clock) for picture in pictures], clock)
    result = pipeline.finish(pictures[0], good, clock)
    assert isinstance(result, Files)
    assert list(result.make("a.face")) == ["a.face.coeffs.json"]
    assert "files" in clock.seconds
    with pytest.raises(Mistake, match=r"b\.jpg shows no face"):
        pipeline.finish(pictures[1], bad, clock)
    with pytest.raises(Mistake, match="several files rather than a picture"):
        picture_of(result)


@pytest.mark.parametrize("size", [(1, 1), (300, 400), (3, 900)])
def test_a_picture_without_a_face_is_said_in_one_sentence(size, run):
    with pytest.raises(Mistake, match=r"face\.jpg shows no face"):
        run(np.full((*size, 3), 90, np.uint8), [])


def test_a_greyscale_file_goes_through_like_any_other(loaded, tmp_path):
    """Its three channels are one; without a face the sentence names the file."""
    grey = (np.mgrid[:90, :120][1] * 2).astype(np.uint8)
    Image.fromarray(grey, "L").save(tmp_path / "grey.png")
    picture = decode(tmp_path / "grey.png")
    assert picture.rgb.shape == (90, 120, 3)
    backends, _ = networks([], (90, 120))
    with pytest.raises(Mistake, match=r"grey\.png shows no face"):
        FaceReconstruction(backends, loaded, Options(), tmp_path).reconstruct(picture, StageClock())
    seen = backends["retinaface"].batches[0][0]
    colours = seen * np.array([0.229, 0.224, 0.225])[:, None, None] + np.array([0.485, 0.456, 0.406])[:, None, None]
    np.testing.assert_allclose(colours[0, 200:300], colours[2, 200:300], atol=1e-5)


def test_a_face_whose_landmarks_are_not_seen_is_named_by_its_box(one, run):
    image, truths = one
    with pytest.raises(Mistake, match=r"face\.jpg: the face at \d+,\d+ to \d+,\d+ cannot be aligned"):
        run(image, truths, blind=(0,))


@pytest.mark.parametrize(
    ("network", "output", "sentence"),
    [
        ("landmarks106", "points", r"face\.jpg: hrn/landmarks106 gave numbers that are not finite; run it in FP32"),
        ("mid_net", "deformation", r"face\.jpg: hrn/mid_net gave numbers that are not finite; run it in FP32"),
        ("net_recon", "coefficients", r"face\.jpg: hrn/net_recon gave numbers that are not finite; run it in FP32"),
    ],
)
def test_a_network_that_overflows_is_said(network, output, sentence, one, loaded, tmp_path):
    image, truths = one
    backends, _ = networks(truths, image.shape[:2])
    broken = backends[network].run
    backends[network].run = lambda arrays: {output: broken(arrays)[output] * np.nan}
    picture = Picture(image, None, image.shape[:2], Path("face.jpg"))
    with pytest.raises(TrtkitError, match=sentence):
        FaceReconstruction(backends, loaded, Options(), tmp_path).reconstruct(picture, StageClock())


def test_of_several_faces_one_that_cannot_be_aligned_is_left_out(face, uv, run):
    image, truths = scene(face, uv, [(10, 10, 200), (230, 10, 200)], (220, 440))
    faces, _, _ = run(image, truths, all_faces=True, blind=(0,))
    assert len(faces.vector) == 1
    assert faces.left_out == 1
    np.testing.assert_allclose(faces.vector, join(truths[1].face), atol=1e-6)


def test_a_face_cut_by_the_border_comes_back(face, uv, run):
    image, truths = scene(face, uv, [(-60, -40, 260)], (200, 300))
    faces, _, _ = run(image, truths, output="mesh")
    assert (_pixels_off(faces.points[0], truths[0].points) * faces.frames[0].scale).mean() < 4
    assert np.isfinite(faces.mid.texture).all()


def test_a_face_of_twenty_pixels_in_a_large_picture_takes_little_memory(face, uv, run):
    import tracemalloc

    image, truths = scene(face, uv, [(900, 700, 28)], (1500, 2000))
    tracemalloc.start()
    faces, _, _ = run(image, truths, output="mesh")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert faces.frames[0].scale > 4
    assert peak < 300e6, "the whole picture at that scale would take gigabytes"


def test_a_picture_over_2000_is_worked_on_at_1500_and_answered_at_its_size(face, uv, run, loaded):
    image, truths = scene(face, uv, [(500, 300, 900)], (1500, 2400))
    scale = 1500 / 2400
    smaller = [Truth(truth.face, truth.points * scale, tuple(v * scale for v in truth.place)) for truth in truths]
    backends, _ = networks(smaller, (937, 1500))
    picture = Picture(image, None, image.shape[:2], Path("large.jpg"))
    pipeline = FaceReconstruction(backends, loaded, Options(output="coeffs"))
    faces = pipeline.reconstruct(picture, StageClock())
    assert _pixels_off(faces.points[0], truths[0].points).mean() * faces.frames[0].scale < 2
    frame = json.loads(document(faces, True))["faces"][0]["crop"]
    within = faces.points[0] * frame["scale"] - (frame["left"], frame["top"])
    assert (within > 0).all()
    assert (within < 224).all()


def test_notes_say_what_is_skipped_and_what_is_made_up(loaded, tmp_path):
    backends, _ = networks([], (10, 10))
    notes = FaceReconstruction(backends, loaded, Options(output="uv"), tmp_path).notes
    assert any("does without high_net, de_retouch" in line for line in notes)
    assert any("face mask: none" in line for line in notes)
    masked = FaceReconstruction(backends, loaded, Options(output="uv"), tmp_path, lambda crops: crops).notes
    assert any("face mask: segment_face.pb" in line for line in masked)
    assert any("SYNTHETIC" in line for line in notes)
    assert any("fitting" in line for line in notes)


def test_unknown_output_is_a_sentence():
    with pytest.raises(Mistake, match="--output hologram is not known; right would be one of coeffs, uv, mesh, all"):
        Options(output="hologram")


def test_json_holds_every_number_by_name(one, run):
    image, truths = one
    faces, _, _ = run(image, truths, output="coeffs")
    held = json.loads(document(faces, synthetic=True))
    assert held["synthetic"] is True
    (listed,) = held["faces"]
    assert len(listed["identity"]) == 80
    assert np.shape(listed["light"]) == (3, 9)
    assert np.shape(listed["landmarks"]) == (68, 2)
    np.testing.assert_allclose(listed["angles"], truths[0].face.angles[0], atol=1e-5)
    assert specs.NETWORKS
