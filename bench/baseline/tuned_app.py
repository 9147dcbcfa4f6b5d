"""Tuned, the app: the handler is async and publishes in the event loop, without another thread.

Started with `uvicorn bench.baseline.tuned_app:app`, with uvloop and httptools as in all of these.
"""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel

from bench.baseline.tuned_tasks import echo

app = FastAPI()


class New(BaseModel):
    text: str


class Batch(BaseModel):
    tasks: list[New]


@app.post("/tasks", status_code=202)
async def submit(new: New) -> dict[str, str]:
    return {"id": echo.delay(new.text).id}


@app.post("/tasks:batch", status_code=202)
async def submit_batch(batch: Batch) -> dict[str, list[str]]:
    return {"ids": [echo.delay(new.text).id for new in batch.tasks]}
