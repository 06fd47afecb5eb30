"""What a user may ask of the DCT-Net pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from trtkit import byte_size
from trtkit.errors import Mistake
from trtkit.models.dct_net.tiles import DEFAULT_MEMORY, largest_area

MODES = ("fast", "fine")


@dataclass(frozen=True)
class Options:
    """`mode`: 'fast' works at a short side of at most 720, 'fine' at the picture's own size; `no_faces`: leave the
    heads to the background network; `max_memory`: bytes or text such as '1GiB', what the process may take beside the
    picture and its result; `head_mask`: a picture in place of the built-in mask, such as the official `alpha.jpg`."""

    mode: str = "fast"
    no_faces: bool = False
    max_memory: str | int = DEFAULT_MEMORY
    head_mask: str | None = None

    def __post_init__(self) -> None:
        """Raises Mistake, naming the option."""
        if self.mode not in MODES:
            raise Mistake(f"--mode {self.mode} is not known; right would be one of {', '.join(MODES)}")
        if self.head_mask is not None and self.no_faces:
            raise Mistake("--head-mask and --no-faces exclude each other: without faces no head is pasted")
        largest_area(self.memory)

    @property
    def memory(self) -> int:
        """`max_memory` in bytes."""
        return byte_size.parse(self.max_memory, "--max-memory")
