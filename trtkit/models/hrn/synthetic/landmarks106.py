"""The made-up face's 106 landmarks: five of them are where the pipeline looks for eyes, nose and mouth."""

from __future__ import annotations

import numpy as np

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.align import FIVE_OF_106
from trtkit.models.hrn.geometry.face_model import Ints
from trtkit.models.hrn.synthetic import head

COUNT = 106


def uvs() -> Floats:
    """[106, 2]: the 68 and, between neighbours of one line of them, points halfway; at the five numbers of
    `align.FIVE_OF_106` the middles of the eyes, the tip of the nose and the corners of the mouth."""
    known = head.landmark_uvs()
    five = [known[36:42].mean(axis=0), known[42:48].mean(axis=0), known[30], known[48], known[54]]
    lines = [known[:17], known[17:22], known[22:27], known[27:31], known[31:36], known[48:60]]
    halfway = np.concatenate([(line[1:] + line[:-1]) / 2 for line in lines])
    rest = iter(np.concatenate([known, halfway])[: COUNT - len(five)])
    own = dict(zip(FIVE_OF_106, five, strict=True))
    return np.stack([own[k] if k in own else next(rest) for k in range(COUNT)]).astype(np.float32)


def vertices() -> Ints:
    """[106], the vertex nearest to each."""
    return head.nearest(uvs())
