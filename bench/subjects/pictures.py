"""The picture of which all make thumbnails: as hard to decode as a photograph."""

from __future__ import annotations

import functools
import io
import random

from PIL import Image

SIDE = 256
_WIDTH, _HEIGHT = 1_600, 1_200


@functools.cache
def picture() -> bytes:
    """A JPEG of some 200 KB, the same in every run."""
    grain = random.Random(1).randbytes(_WIDTH * _HEIGHT // 64 * 3)
    small = Image.frombytes("RGB", (_WIDTH // 8, _HEIGHT // 8), grain)
    target = io.BytesIO()
    small.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC).save(target, "JPEG", quality=85)
    return target.getvalue()
