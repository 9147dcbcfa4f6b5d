"""The handlers of `benchmark.v1.BenchmarkTasks`; its generated modules are on PYTHONPATH."""

from __future__ import annotations

import time

from benchmark.v1 import benchmark_pb2  # type: ignore[import-not-found]  # made by the measurement

from taskwire import TaskContext, task

NAP_S = 0.01


@task("benchmark.v1.BenchmarkTasks/Echo")
def echo(request: benchmark_pb2.EchoRequest, context: TaskContext) -> benchmark_pb2.EchoResponse:
    return benchmark_pb2.EchoResponse(text=request.text)


@task("benchmark.v1.BenchmarkTasks/Nap")
def nap(request: benchmark_pb2.NapRequest, context: TaskContext) -> benchmark_pb2.NapResponse:
    time.sleep(NAP_S)
    return benchmark_pb2.NapResponse()
