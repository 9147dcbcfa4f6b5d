"""Work on pictures, in a process of its own: it is heavy on the CPU, and the input is anybody's."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from taskwire import Isolation, TaskContext, errors, task
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest, MakeThumbnailResponse

_DEFAULT_SIDE = 256
_MAX_PIXELS = 64_000_000
"""A picture of this many pixels takes some 256 MB in memory; more is refused unread."""

_OPAQUE_MODES = frozenset({"1", "L", "RGB", "CMYK", "YCbCr", "I", "F"})


@task("taskwire.examples.v1.ImageTasks/MakeThumbnail", isolation=Isolation.PROCESS)
def make_thumbnail(request: MakeThumbnailRequest, context: TaskContext) -> MakeThumbnailResponse:
    """The picture, made to fit into the box: JPEG, or PNG when it has transparent parts."""
    box = (request.max_width or _DEFAULT_SIDE, request.max_height or _DEFAULT_SIDE)
    thumbnail = _shrunk(request.image, box)
    context.progress(fraction=0.5, message="resized")
    data, content_type = _encoded(thumbnail)
    return MakeThumbnailResponse(
        image=data, width=thumbnail.width, height=thumbnail.height, content_type=content_type
    )


def _shrunk(data: bytes, box: tuple[int, int]) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Our own limit is lower than the one that Pillow warns about.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                _refuse_bomb(image.width, image.height)
                # JPEGs are decoded at a fraction of their size where that is enough.
                image.draft(None, box)
                upright = ImageOps.exif_transpose(image)
        upright.thumbnail(box)
    except Image.DecompressionBombError:
        raise _too_large("unknown") from None
    # A file that claims to be a picture can make a decoder raise nearly anything.
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise errors.InvalidArgument(
            "The image is in no format that can be read, or it is damaged.",
            reason="IMAGE_UNREADABLE",
        ) from error
    return upright


def _refuse_bomb(width: int, height: int) -> None:
    if width * height > _MAX_PIXELS:
        raise _too_large(str(width * height))


def _too_large(pixels: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        f"The image has more than {_MAX_PIXELS} pixels.",
        reason="IMAGE_TOO_LARGE",
        metadata={"pixels": pixels, "max_pixels": str(_MAX_PIXELS)},
    )


def _encoded(image: Image.Image) -> tuple[bytes, str]:
    target = io.BytesIO()
    if image.mode in _OPAQUE_MODES:
        image.convert("RGB").save(target, "JPEG", quality=85)
        return target.getvalue(), "image/jpeg"
    image.convert("RGBA").save(target, "PNG")
    return target.getvalue(), "image/png"
