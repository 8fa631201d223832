# SPDX-License-Identifier: MIT
"""The launchers' icon, drawn: a screen on a coloured tile, with a ring that reaches out of it.

Uncompressed, so that the same bytes come out whatever compression library a controller has.
"""

from __future__ import annotations

import functools
import math
import struct

from .windows_resources import Icon

EDGES = (16, 24, 32, 48, 64)
"""Sizes in pixels that Explorer and the taskbar ask for."""

LAUNCHER = (0x1B, 0x5F, 0x8C)
"""The launcher's tile: blue."""

RESET = (0x6B, 0x72, 0x7C)
"""The reset program's tile: grey."""

_WHITE = (0xFF, 0xFF, 0xFF)

_Colour = tuple[int, int, int]


def _rectangle(x: float, y: float, half: tuple[float, float], corner: float) -> float:
    """Return the distance of a point to a rounded rectangle round the origin, negative inside."""
    dx, dy = abs(x) - half[0] + corner, abs(y) - half[1] + corner
    return math.hypot(max(dx, 0.0), max(dy, 0.0)) + min(max(dx, dy), 0.0) - corner


def _white(x: float, y: float) -> float:
    """Return the distance to what is white: the frame of the screen, its foot, and the ring."""
    screen = abs(_rectangle(x, y + 0.06, (0.30, 0.21), 0.05)) - 0.035
    foot = _rectangle(x, y - 0.29, (0.16, 0.035), 0.03)
    ring = abs(math.hypot(x, y + 0.06) - 0.085) - 0.03
    return min(screen, foot, ring)


@functools.cache
def icon(tile: _Colour) -> tuple[Icon, ...]:
    """Return the icon on a tile of a colour, in all sizes."""
    return tuple(Icon(edge, _picture(edge, tile)) for edge in EDGES)


def _picture(edge: int, tile: _Colour) -> bytes:
    """Return a device independent bitmap: header, rows from the bottom up (blue green red alpha), empty mask."""
    header = struct.pack("<IiiHHIIiiII", 40, edge, edge * 2, 1, 32, 0, 0, 0, 0, 0, 0)
    rows = b"".join(_pixel(edge, column, row, tile) for row in reversed(range(edge)) for column in range(edge))
    return header + rows + bytes((edge + 31) // 32 * 4 * edge)


def _pixel(edge: int, column: int, row: int, tile: _Colour) -> bytes:
    x, y = (column + 0.5) / edge - 0.5, (row + 0.5) / edge - 0.5
    # A pixel at the border is covered in part: half where the border goes through its middle.
    covered = min(max(0.5 - _rectangle(x, y, (0.5, 0.5), 0.11) * edge, 0.0), 1.0)
    white = min(max(0.5 - _white(x, y) * edge, 0.0), 1.0)
    red, green, blue = (round(light * white + dark * (1 - white)) for light, dark in zip(_WHITE, tile))
    return bytes((blue, green, red, round(255 * covered)))
