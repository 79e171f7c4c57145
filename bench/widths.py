"""Models of equal size: the width at which an architecture has a given number of parameters."""

from collections.abc import Callable


def closest_width(count: Callable[[int], int], parameters: int) -> tuple[int, int]:
    """Return the even width whose number of parameters, which grows with it, is closest; and that number."""
    low, high = 2, 1024
    while high - low > 2:
        middle = (low + high) // 4 * 2
        low, high = (middle, high) if count(middle) <= parameters else (low, middle)
    width = min((low, high), key=lambda w: abs(count(w) - parameters))
    return width, count(width)
