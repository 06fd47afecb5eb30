import pytest

from trtkit import byte_size
from trtkit.errors import Mistake


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1GiB", 2**30),
        ("1.5 gib", 3 * 2**29),
        ("800MiB", 800 * 2**20),
        ("2GB", 2 * 10**9),
        ("512", 512),
        ("3 KiB", 3072),
    ],
)
def test_amounts_are_read(text, count):
    assert byte_size.parse(text, "--max-memory") == count


@pytest.mark.parametrize("text", ["", "GiB", "1XB", "-1GiB", "1 GiB more", "1e9", "1,5GiB"])
def test_all_else_is_one_sentence_with_the_option(text):
    with pytest.raises(Mistake, match=r"^--max-memory .*is not an amount of memory; right would be for example 1GiB"):
        byte_size.parse(text, "--max-memory")


def test_amounts_are_written_for_people():
    assert [byte_size.text(n) for n in (5, 2048, 3 * 2**19, 2**30)] == ["5 B", "2 KiB", "1.5 MiB", "1 GiB"]
