import math

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from trtkit.models.imaging.quality import psnr, ssim


def pair(picture, sigma, shape=None):
    picture = picture if shape is None else np.ascontiguousarray(picture[: shape[0], : shape[1]])
    noise = np.random.default_rng(0).normal(0, sigma, picture.shape)
    return picture, np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [1, 20, 90])
@pytest.mark.parametrize("shape", [(512, 512), (11, 11), (37, 200)])
def test_both_agree_with_scikit_image(portrait_pixels, sigma, shape):
    a, b = pair(portrait_pixels, sigma, shape)
    known = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=-1, data_range=255
    )
    assert ssim(a, b) == pytest.approx(known, abs=1e-9)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-6)


def test_a_grey_picture_counts_as_one_channel(portrait_pixels):
    a, b = pair(cv2.cvtColor(portrait_pixels, cv2.COLOR_RGB2GRAY), 10)
    known = structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)
    assert ssim(a, b) == pytest.approx(known, abs=1e-9)


def test_equal_pictures(portrait_pixels):
    assert psnr(portrait_pixels, portrait_pixels) == math.inf
    assert ssim(portrait_pixels, portrait_pixels) == pytest.approx(1)
