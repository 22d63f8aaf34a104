"""Tell who is who among a run's objects: `python -m jobs.link run=OUT`."""

import logging
from dataclasses import dataclass

from omegaconf import MISSING

from jobs.edge import DONE, run_job
from pipeline.stages.identities import LinkConfig
from pipeline.stages.link import link
from pipeline.work.run_folder import RunFolder

logger = logging.getLogger(__name__)


@dataclass
class LinkJob(LinkConfig):
    """Which run, and when objects of it are one."""

    run: str = MISSING


def main(config: LinkJob) -> int:
    run = RunFolder.of(config.run)
    linked = link(run, config)
    if linked.without_embedding:
        logger.warning("%d objects have no embedding: each is one by itself", linked.without_embedding)
    if linked.kinds > 1:
        logger.info("%d kinds of objects, by label and by what made their embeddings", linked.kinds)
    logger.info(
        "%d objects are %d identities: %d links within a video, %d across videos; %s/%s",
        *(linked.objects, linked.identities, linked.links_within, linked.links_across),
        *(run.root, run.identities),
    )
    return DONE


if __name__ == "__main__":
    run_job("link", LinkJob, main)
