"""`taskwire client-config`: what makes an ordinary stub survive restarts."""

from __future__ import annotations

import click

from taskwire.client import service_config


@click.command()
@click.argument("services", nargs=-1)
def client_config(services: tuple[str, ...]) -> None:
    """Print the gRPC service config for durable calls, as JSON.

    Give it to your channel, and send a request id (metadata `taskwire-request-id`) with every
    call: what a restart interrupts is then repeated and attaches to the task that it began. A
    call that finds no server waits for one, so set a deadline. Without SERVICES it is for all.

    \b
    Examples:
      taskwire client-config > taskwire.json
      taskwire client-config acme.images.v1.ImageTasks
    \b
    In Python:
      grpc.insecure_channel(address, options=[
          ("grpc.service_config", Path("taskwire.json").read_text()),
          # Requests above 256 KiB are repeated only with a larger buffer:
          ("grpc.per_rpc_retry_buffer_size", 16 << 20)])
    \b
    In Node, where grpc-js waits for a server only if the call itself says so:
      new Client(address, credentials, {"grpc.service_config": config})
      new grpc.Metadata({waitForReady: true})
    """
    print(service_config(*services))
