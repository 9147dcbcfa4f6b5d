"""The base line's client: aiohttp on uvloop, kept connections; results are polled for."""

from __future__ import annotations

import argparse
import asyncio
import time

import aiohttp

from bench.load.measure import TEXT, drive, run

POLL_S = 0.01
PATIENCE_S = 60.0


async def main(asked: argparse.Namespace) -> None:
    connector = aiohttp.TCPConnector(limit=asked.at_once)
    async with aiohttp.ClientSession(f"http://{asked.address}", connector=connector) as session:

        async def post(path: str, body: object) -> dict[str, str]:
            async with session.post(path, json=body) as answer:
                assert answer.status == 202, await answer.text()
                found: dict[str, str] = await answer.json()
                return found

        async def single(number: int) -> None:
            await post("/tasks", {"text": TEXT})

        async def batch(number: int) -> None:
            answer = await post("/tasks:batch", {"tasks": [{"text": TEXT}] * asked.batch_size})
            assert len(answer["ids"]) == asked.batch_size

        async def call(number: int) -> None:
            job_id = (await post("/tasks", {"text": TEXT}))["id"]
            give_up_at = time.monotonic() + PATIENCE_S
            while time.monotonic() < give_up_at:
                async with session.get(f"/tasks/{job_id}") as answer:
                    found = await answer.json()
                if found["state"] == "SUCCESS":
                    assert found["result"] == TEXT
                    return
                await asyncio.sleep(POLL_S)
            raise AssertionError(f"{job_id} did not end")

        workload = {"single": single, "batch": batch, "call": call}[asked.workload]
        await drive(workload, calls=asked.calls, at_once=asked.at_once)


if __name__ == "__main__":
    run(main)
