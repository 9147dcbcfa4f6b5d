"""The base line's client: it submits and polls for the result, over kept connections, on uvloop."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from bench.load.measure import TEXT, arguments, drive, run

POLL_S = 0.01
PATIENCE_S = 60.0


async def main() -> None:
    asked = arguments("call", "push")
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://{asked.address}", connector=connector) as session:

        async def call(number: int) -> None:
            async with session.post("/tasks", json={"text": TEXT}) as answer:
                assert answer.status == 202, await answer.text()
                task_id = (await answer.json())["id"]
            give_up_at = time.monotonic() + PATIENCE_S
            while time.monotonic() < give_up_at:
                async with session.get(f"/tasks/{task_id}") as answer:
                    found = await answer.json()
                if found["state"] == "SUCCESS":
                    assert found["result"] == TEXT
                    return
                await asyncio.sleep(POLL_S)
            raise AssertionError(f"{task_id} did not end")

        await drive(call, asked)


if __name__ == "__main__":
    run(main)
