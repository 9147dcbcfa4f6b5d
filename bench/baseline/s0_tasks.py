"""S0, the worker: Celery over RabbitMQ with confirms, results in Redis, no database.

Started with `celery -A bench.baseline.s0_tasks worker`.
"""

from __future__ import annotations

import base64
import io
import os

from celery import Celery

celery = Celery(
    "s0",
    broker=os.environ["BASELINE_RABBITMQ_URL"],
    backend=os.environ["BASELINE_REDIS_URL"],
)
celery.conf.broker_transport_options = {"confirm_publish": True}
celery.conf.broker_connection_retry_on_startup = True
celery.conf.task_default_queue = os.environ["BASELINE_QUEUE"]


@celery.task(name="echo")
def echo(text: str) -> str:
    return text


@celery.task(name="thumbnail")
def thumbnail(image: str, side: int) -> str:
    # Imported where it is used: the memory of a worker of echoes is measured as well.
    from PIL import Image, ImageOps

    target = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(image))) as picture:
        picture.draft(None, (side, side))
        upright = ImageOps.exif_transpose(picture)
    upright.thumbnail((side, side))
    upright.convert("RGB").save(target, "JPEG", quality=85)
    return base64.b64encode(target.getvalue()).decode()
