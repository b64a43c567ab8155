"""Do what each line asks for in a workspace, and print how many nanoseconds it took."""

import asyncio
import sys
import time

import pyro_mcp as pyro
from pyro_mcp import aio

CROWD = 100


async def storm(workspace_id: str) -> None:
    """Run many commands at once."""
    async with aio.Client() as client:
        ws = await client.connect(workspace_id)
        await asyncio.gather(*(ws.run(["true"]) for _ in range(CROWD)))


def main(workspace_id: str) -> None:
    """Answer line by line."""
    ws = pyro.connect(workspace_id)
    for line in sys.stdin:
        began = time.perf_counter_ns()
        if line == "exec\n":
            ws.run(["true"])
        else:
            asyncio.run(storm(workspace_id))
        print(time.perf_counter_ns() - began, flush=True)


main(sys.argv[1])
