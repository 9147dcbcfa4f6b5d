"""The example handlers, called directly: no worker, no server."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from PIL import Image

from taskwire import TaskContext, errors
from taskwire.examples.v1.demo_tasks_pb2 import FlakyRequest, SleepRequest
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest, MakeThumbnailResponse
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_examples import divide, flaky, make_thumbnail, sleep


def picture(mode: str = "RGB", size: tuple[int, int] = (640, 480), format: str = "PNG") -> bytes:
    target = io.BytesIO()
    Image.new(mode, size).save(target, format)
    return target.getvalue()


def thumbnail(data: bytes, width: int = 0, height: int = 0) -> MakeThumbnailResponse:
    request = MakeThumbnailRequest(image=data, max_width=width, max_height=height)
    return make_thumbnail(request, TaskContext.for_test())


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("box", "size"), [((0, 0), (256, 192)), ((100, 100), (100, 75)), ((4096, 4096), (640, 480))]
)
def test_a_thumbnail_fits_its_box_and_keeps_its_proportions(
    box: tuple[int, int], size: tuple[int, int]
) -> None:
    response = thumbnail(picture(), *box)

    assert (response.width, response.height) == size
    assert Image.open(io.BytesIO(response.image)).size == size


@pytest.mark.parametrize(
    ("mode", "format", "content_type"),
    [
        ("RGB", "PNG", "image/jpeg"),
        ("RGB", "JPEG", "image/jpeg"),
        ("L", "PNG", "image/jpeg"),
        ("1", "PNG", "image/jpeg"),
        ("CMYK", "JPEG", "image/jpeg"),
        ("RGBA", "PNG", "image/png"),
        ("LA", "PNG", "image/png"),
        ("P", "GIF", "image/png"),
        ("I;16", "PNG", "image/png"),
    ],
)
def test_every_kind_of_picture_becomes_one_that_browsers_show(
    mode: str, format: str, content_type: str
) -> None:
    response = thumbnail(picture(mode, format=format))

    assert response.content_type == content_type
    assert Image.open(io.BytesIO(response.image)).format == content_type[6:].upper()


@pytest.mark.parametrize("data", [b"", b"not a picture", picture()[:200], bomb(10, 10)])
def test_what_is_no_picture_is_the_callers_mistake(data: bytes) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        thumbnail(data)

    assert refused.value.reason == "IMAGE_UNREADABLE"
    assert not refused.value.retryable


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_000, 10_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_unread(size: tuple[int, int]) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        thumbnail(bomb(*size))

    assert refused.value.reason == "IMAGE_TOO_LARGE"


def test_a_quotient_is_a_quotient() -> None:
    assert divide(DivideRequest(dividend=1, divisor=4), TaskContext.for_test()).quotient == 0.25


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_dividing_by_zero_is_never_retried(zero: float) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        divide(DivideRequest(dividend=1, divisor=zero), TaskContext.for_test())

    assert refused.value.reason == "DIVISION_BY_ZERO"
    assert not refused.value.retryable


def sleeper(seconds: float) -> SleepRequest:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return SleepRequest(duration=duration)


def test_a_sleep_reports_progress_and_how_long_it_was() -> None:
    context = TaskContext.for_test()

    response = sleep(sleeper(0.3), context)

    assert response.slept.ToTimedelta() >= timedelta(seconds=0.3)
    fractions = [report.fraction for report in context.progress_reports]
    assert fractions == sorted(fractions)
    assert len(fractions) >= 2


def test_no_sleep_is_a_short_sleep() -> None:
    assert sleep(sleeper(0), TaskContext.for_test()).slept.seconds == 0


def test_a_sleep_ends_when_it_is_cancelled() -> None:
    context = TaskContext.for_test()
    threading.Timer(0.05, context.cancel).start()

    with pytest.raises(errors.Cancelled):
        sleep(sleeper(3600), context)


@pytest.mark.parametrize(
    ("failures", "attempt", "works"), [(0, 1, True), (2, 2, False), (2, 3, True)]
)
def test_flaky_fails_as_often_as_it_is_asked_to(failures: int, attempt: int, works: bool) -> None:
    context = TaskContext.for_test(attempt=attempt)

    if works:
        assert flaky(FlakyRequest(failures=failures), context).attempts == attempt
    else:
        with pytest.raises(errors.Unavailable):
            flaky(FlakyRequest(failures=failures), context)
