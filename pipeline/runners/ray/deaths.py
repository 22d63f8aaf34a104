"""What a worker died of, as far as Ray can tell."""

import time
from dataclasses import replace

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from pipeline.errors import FaultClass
from pipeline.records import Problem
from pipeline.runners.guard import problem_of

NODE_DIED = "its node has died"
NODE_LOSS_SECONDS = 5.0  # Ray tells of a worker's death before it tells of its node's


def problem_of_death(error: RayError, node_id: str) -> Problem:
    """Return what went wrong on a worker.

    Args:
        node_id: The node that the worker was on, empty if that is unknown.
    """
    if isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
        return replace(problem_of(error.cause), traceback=str(error))
    if isinstance(error, OutOfMemoryError):
        return Problem(FaultClass.OOM_HOST, "its machine ran out of memory", traceback=str(error))
    if not isinstance(error, RayActorError):
        return problem_of(error)
    # Of a worker that was still to start nobody knows the node; Ray says so in words alone.
    if getattr(error, "preempted", False) or NODE_DIED in str(error) or _node_is_lost(node_id):
        return Problem(FaultClass.WORKER_LOST, "the worker was lost with its machine", traceback=str(error))
    return Problem(FaultClass.CRASH_SIGNAL, "the worker process died", traceback=str(error))


def _node_is_lost(node_id: str) -> bool:
    """Say whether a node is gone; a machine alone can't lose itself."""
    deadline = time.monotonic() + NODE_LOSS_SECONDS
    while node_id:
        nodes = ray.nodes()
        if len(nodes) == 1:
            return False
        if not any(node["NodeID"] == node_id and node["Alive"] for node in nodes):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return False
