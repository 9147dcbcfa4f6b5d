"""S1, the app: like S0, with a row of SQLite for each task, as long as its result is wanted.

Started with `uvicorn bench.baseline.s1_app:app`.
"""

from __future__ import annotations

import time
import uuid

from celery.result import AsyncResult
from fastapi import FastAPI
from pydantic import BaseModel

from bench.baseline.s1_tasks import Base, Job, Session, celery, echo, engine

app = FastAPI()
Base.metadata.create_all(engine)


class New(BaseModel):
    text: str


class Batch(BaseModel):
    tasks: list[New]


def _job(new: New) -> Job:
    return Job(id=str(uuid.uuid4()), text=new.text, status="queued", created=time.time())


@app.post("/tasks", status_code=202)
def submit(new: New) -> dict[str, str]:
    job = _job(new)
    job_id = job.id
    with Session.begin() as session:
        session.add(job)
    echo.apply_async((job_id, new.text), task_id=job_id)
    return {"id": job_id}


@app.post("/tasks:batch", status_code=202)
def submit_batch(batch: Batch) -> dict[str, list[str]]:
    jobs = [_job(new) for new in batch.tasks]
    sending = [(job.id, job.text) for job in jobs]
    with Session.begin() as session:
        session.add_all(jobs)
    for job_id, text in sending:
        echo.apply_async((job_id, text), task_id=job_id)
    return {"ids": [job_id for job_id, _ in sending]}


@app.get("/tasks/{task_id}")
def get(task_id: str) -> dict[str, str | None]:
    result = AsyncResult(task_id, app=celery)
    state = result.state
    return {"state": state, "result": result.result if state == "SUCCESS" else None}
