"""Waiting for a file descriptor without blocking the event loop and without a thread."""

import asyncio


async def readable(descriptor: int) -> None:
    """Return when a read of *descriptor* will not block; at once for what cannot be waited for (a regular file)."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
