"""Many shards on as many workers as a Ray cluster has room for. Nothing else imports Ray.

Each worker is one process that holds the model and works at as many shards at a time as the stage takes.
If it dies with several, each of them is leased again to a worker that holds nothing else, until the guilty
one shows. Ray itself never retries: `pipeline.work.attempts` decides. Shards and reports travel through
Ray, frames and masks never do.
"""

from pipeline.errors import ClusterError
from pipeline.runners.ray.cluster import connected, workers_that_fit
from pipeline.runners.ray.run import run_on_ray

__all__ = ["ClusterError", "connected", "run_on_ray", "workers_that_fit"]
