import pytest

from trtkit.errors import Mistake
from trtkit.models.dct_net.options import Options
from trtkit.models.dct_net.pipeline import open_pipeline


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mode": "best"}, r"^--mode best is not known; right would be one of fast, fine$"),
        ({"max_memory": "much"}, r"^--max-memory much is not an amount of memory; right would be for example 1GiB"),
        ({"max_memory": "64MiB"}, r"^--max-memory 64 MiB is too little for a tile of 256x256; right would be at least"),
        ({"no_faces": True, "head_mask": "a.jpg"}, r"^--head-mask and --no-faces exclude each other"),
        ({"head_mask": "nothing.jpg"}, r"^nothing\.jpg does not exist"),
        ({"size": 512}, r"^--size is not an option of dct_net; its options: --mode, --no-faces, --max-memory, --head-"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(networks, given, sentence):
    with pytest.raises(Mistake, match=sentence) as caught:
        open_pipeline(networks, given, 100)
    assert "\n" not in str(caught.value)


def test_memory_is_taken_as_text_or_bytes():
    assert Options(max_memory="1.5GiB").memory == Options(max_memory=3 * 2**29).memory == 3 * 2**29
