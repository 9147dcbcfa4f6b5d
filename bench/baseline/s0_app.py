"""S0, the app: FastAPI that sends a message for each task and reads its result from Redis.

Started with `uvicorn bench.baseline.s0_app:app`.
"""

from __future__ import annotations

from celery.result import AsyncResult
from fastapi import FastAPI
from pydantic import BaseModel

from bench.baseline.s0_tasks import celery, echo, thumbnail

app = FastAPI()


class New(BaseModel):
    text: str


class Batch(BaseModel):
    tasks: list[New]


class Picture(BaseModel):
    image: str
    side: int


@app.post("/tasks", status_code=202)
def submit(new: New) -> dict[str, str]:
    return {"id": echo.delay(new.text).id}


@app.post("/tasks:batch", status_code=202)
def submit_batch(batch: Batch) -> dict[str, list[str]]:
    return {"ids": [echo.delay(new.text).id for new in batch.tasks]}


@app.post("/thumbnails", status_code=202)
def submit_thumbnail(picture: Picture) -> dict[str, str]:
    return {"id": thumbnail.delay(picture.image, picture.side).id}


@app.get("/tasks/{task_id}")
def get(task_id: str) -> dict[str, str | None]:
    result = AsyncResult(task_id, app=celery)
    state = result.state
    return {"state": state, "result": result.result if state == "SUCCESS" else None}
