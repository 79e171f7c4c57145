"""Architectures are brought to one size by their width."""

from bench.widths import closest_width


def test_the_even_width_closest_to_the_size_is_found() -> None:
    # 100 inputs, width w, half of it, 1: 118 for w = 2 .. 10,880 for w = 64
    def count(width: int) -> int:
        return 100 * width + width * width // 2 + width // 2

    assert closest_width(count, count(64)) == (64, count(64))
    assert closest_width(count, count(64) + 10) == (64, count(64))
    assert closest_width(count, count(66) - 10) == (66, count(66))
