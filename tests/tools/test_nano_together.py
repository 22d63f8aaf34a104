"""Two processes train one network, and a stop changes none of its weights."""

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as multiprocessing

from tests.conftest import free_ports
from tests.tools.test_nano_training import BUNDLED
from tests.tools.tiny import write_tiny_bank
from tools.nano import together
from tools.nano.schedule import Plan
from tools.nano.train import Settings, Trainer

STEPS, STOPPED_AFTER = 4, 2


def train_twice(rank: int, folder: Path, port: int) -> None:
    """Train without a stop and with one, as one of two processes."""
    os.environ.update(WORLD_SIZE="2", RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    together.STEPS_APART = STOPPED_AFTER

    def trainer(name: str) -> Trainer:
        return Trainer(Settings(folder / "bank", folder / name, Plan(steps=STEPS), BUNDLED, "tiny"))

    whole = trainer("whole.pt").run()
    averages = {f"average of {name}": tensor for name, tensor in whole.average.items()}
    torch.save({**whole.network.state_dict(), **averages}, folder / f"whole-{rank}.pt")
    first = trainer("parts.pt")
    first.run(stopped=lambda: rank == 1 and first.state.step >= STOPPED_AFTER)  # who stops is one of them
    trainer("parts.pt").run()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    write_tiny_bank(folder / "bank")
    multiprocessing.spawn(train_twice, (folder, free_ports(1)[0]), nprocs=2)
    return folder


def read(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def equal(one: dict, other: dict) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_all_processes_end_with_the_same_network_which_is_none_of_one_alone(folder):
    assert equal(read(folder / "whole-0.pt"), read(folder / "whole-1.pt"))
    alone = Trainer(Settings(folder / "bank", folder / "alone.pt", Plan(steps=STEPS), BUNDLED, "tiny")).run()
    assert not equal(alone.network.state_dict(), read(folder / "whole-0.pt"))


def test_stopping_and_resuming_two_processes_gives_the_same_weights_to_the_bit(folder):
    whole, parts = read(folder / "whole.pt"), read(folder / "parts.pt")
    assert [sitting["from_step"] for sitting in parts["history"]] == [0, STOPPED_AFTER]
    assert equal(whole["model"], parts["model"])
    assert equal(whole["average"], parts["average"])
