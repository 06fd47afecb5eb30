"""Network → what it is trained to do."""

from __future__ import annotations

from collections.abc import Callable

from training.hrn.crops import Task
from training.hrn.detection import Confirm, Find
from training.hrn.landmarks import Points68, Points106
from training.hrn.reconstruction import Reconstruct
from training.hrn.refinement import Refine, Retouch

TASKS: dict[str, Callable[[], Task]] = {
    "retinaface": Find,
    "landmarks106": Points106,
    "s3fd": Confirm,
    "fan": Points68,
    "net_recon": Reconstruct,
    "mid_net": lambda: Refine(fine=False),
    "high_net": lambda: Refine(fine=True),
    "de_retouch": Retouch,
}
