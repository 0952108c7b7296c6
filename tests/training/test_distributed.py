"""Several processes train one run: what they share, what each has for itself, and how they end together."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from gantools import api
from gantools.checkpoint import state
from gantools.data.loading import loader
from gantools.errors import GantoolsError, UsageError
from gantools.training.device import runtime
from gantools.training.distributed import communicator, launch, rank_info, reduction
from gantools.training.distributed.batch_norm import GlobalBatchNorm, share_statistics
from gantools.training.distributed.communicator import ProcessGroup
from gantools.training.distributed.rank_info import RankInfo
from gantools.training.latent import LatentRecipe
from gantools.training.run import metrics_log
from tests.training import together
from tests.training.listening import Listener
from tests.training.runs import assert_equal_states

EQUAL = ("pix2pix/paper", "srgan/mse", "restore/crappify-64", "dcgan/mnist-32")
PATIENCE_SECONDS = 900

pytestmark = pytest.mark.filterwarnings("ignore:model.encoder_weights")


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Iterator[Path]:
    """A folder that all of pytest's own processes have, one at a time: what is made there is made once."""
    testrun = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    folder = tmp_path_factory.getbasetemp().parent / testrun if testrun else tmp_path_factory.mktemp("shared")
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.fixture(scope="module")
def images(shared) -> Path:
    for recipe in {spec.partition("/")[0] for spec in (*EQUAL, "cyclegan/paper", "stylegan2/shoes-32")}:
        together.drawn(recipe, shared / "images")  # before two processes want to draw them
    return shared / "images"


@pytest.fixture(scope="module")
def met(shared, images) -> Path:
    """The folder of what two processes did; they fail in the last scene, as they are meant to."""
    folder = shared / "met"
    if folder.exists():
        return folder
    scenes = [*EQUAL, "adaptive", "resumed", "signalled", "poisoned"]
    program = ["-m", "tests.training.together", str(folder), str(images), *scenes]
    for process in together.processes(2, program):
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, said
    return folder


@pytest.mark.parametrize("spec", EQUAL)
def test_two_processes_equal_one_with_the_double_batch(spec, met, images, tmp_path, monkeypatch):
    monkeypatch.setattr(LatentRecipe, "forward", together.latents_by_name)
    settings = together.settings(spec, images, *together.EQUAL[spec], "data.batch_images=4")
    alone = api.train(settings, run_dir=tmp_path / "run", device="cpu").path
    two, one = (state.newest(run / "checkpoints")[1] for run in (met / spec, alone))
    for name, network in one["networks"].items():
        both = two["networks"][name], network
        found, wanted = (torch.cat([values[key].double().flatten() for key in network]) for values in both)
        # Adam turns the last digit of a gradient near zero, which depends on kernels, into a step of its own.
        assert torch.isclose(found, wanted, rtol=1e-5, atol=1e-5).double().mean() > 0.99, name
        assert torch.allclose(found, wanted, rtol=1e-2, atol=1e-2), name
    assert two["validation"]["latest"] == pytest.approx(one["validation"]["latest"], rel=1e-4)
    assert two["position"]["step"] == one["position"]["step"]
    rows = [metrics_log.read(run / "metrics.jsonl") for run in (met / spec, alone)]
    for mine, theirs in zip(*rows, strict=True):
        assert mine.keys() == theirs.keys()
        for key in ("step", *(key for key in mine if key.startswith("loss/"))):
            assert mine[key] == pytest.approx(theirs[key], rel=1e-3), key
    assert json.loads((met / spec / "run.json").read_bytes())["processes"] == 2


def test_adaptive_augmentation_counts_the_images_of_all_processes(met):
    one, other = (torch.load(met / f"adaptive-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert_equal_states(one, other)
    assert one["ada"]["probability"] == pytest.approx(4 * 4 / 100), (
        "4 batches of 4 images, of whose signs the mean is 0.5"
    )
    assert one["r1_weight"] == pytest.approx(0.0002 * 8 * 8 / (2 * 2))


def test_resume_is_bit_equal(met):
    whole, parts = (state.newest(met / name / "checkpoints")[1] for name in ("whole", "parts"))
    assert_equal_states(whole, parts)
    (peer,) = whole["peers"]
    assert not torch.equal(peer["streams"]["cpu"], whole["streams"]["cpu"])  # dropout is another one in each process
    pools = [share["extra"]["history_a"]["images"][0] for share in (whole, peer)]
    assert not torch.equal(*pools)


def test_another_number_of_processes_goes_on_with_the_same_images(met, tmp_path):
    listener = Listener()
    before = state.newest(met / "signalled" / "checkpoints")[1]["position"]
    run = api.resume(met / "signalled", device="cpu", max_steps=before["step"] + 1, reporter=listener)
    assert run.ending == "limit"
    after = state.newest(run.path / "checkpoints")[1]
    assert after["position"]["batches"] == 2 * before["batches"] + 1
    assert after["peers"] == []
    assert any("saved by 2 processes, going on with 1: a step has 2 images, not 4" in line for line in listener.lines)


def test_a_signal_to_one_process_stops_all_at_the_same_step(met):
    ends = [json.loads((met / f"signalled-{rank}.json").read_text()) for rank in (0, 1)]
    assert ends == [["interrupted", 2, signal.SIGTERM]] * 2


def test_a_nan_loss_stops_all_and_is_reported_by_all(met):
    own, other = ((met / f"poisoned-{rank}.txt").read_text() for rank in (1, 0))
    assert own.startswith("NonFiniteError: step 2: generator.pixel = nan")
    assert other == own.replace("NonFiniteError", "PeerError: rank 1")
    facts = json.loads((met / "poisoned" / "run.json").read_bytes())
    assert (facts["status"], facts["reason"]) == ("failed", other.removeprefix("PeerError: "))


def test_buckets_keep_order_and_size():
    tensors = [torch.zeros(number) for number in (10, 3, 3, 100, 1)]
    assert [[len(tensor) for tensor in one] for one in reduction.buckets(tensors, 24)] == [[10], [3, 3], [100], [1]]
    assert list(reduction.buckets([], 24)) == []


@pytest.fixture
def group_of_one(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessGroup]:
    store = dist.HashStore()
    if sys.platform in launch.LOOPBACK:
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", launch.LOOPBACK[sys.platform])
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield ProcessGroup(RankInfo(), store)
    dist.destroy_process_group()


def test_gradients_are_sent_while_backward_still_computes_others(group_of_one, monkeypatch):
    network = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(5)))
    unused, sent = nn.Parameter(torch.ones(4)), []
    parameters = [*network.parameters(), unused]
    monkeypatch.setattr(reduction, "BUCKET_BYTES", 1)

    class Seen(reduction.Reduction):
        def __init__(self, tensors):
            sent.append(sum(one.grad is not None for one in parameters))
            super().__init__(tensors)

    monkeypatch.setattr(reduction, "Reduction", Seen)
    with group_of_one.averaging([*network.parameters()]):
        network(torch.ones(1, 4)).sum().backward()
    assert sent == [1, 2, 3, 4, 5]
    sent.clear()
    network.zero_grad()
    with group_of_one.averaging(parameters):
        network(torch.ones(1, 4)).sum().backward()
    assert sent == [5] * 5, "a parameter without gradient holds the others back until the end"
    assert unused.grad is None


def test_a_backward_pass_that_fails_sends_nothing_more(group_of_one):
    layer = nn.Linear(2, 2)

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, image):
            return image.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"), group_of_one.averaging(layer.parameters()):
        Broken.apply(layer(Broken.apply(torch.ones(1, 2, requires_grad=True)))).sum().backward()
    assert not layer.weight._post_accumulate_grad_hooks


def test_a_process_alone_asks_nobody_and_a_rank_needs_an_address(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    alone = communicator.join(torch.device("cpu"))
    assert alone.info == RankInfo(0, 1, 0, 1)
    found = alone.all_reduce_max(3), alone.all_reduce_mean({"a": 0.1}), alone.all_gather("b")
    assert found == (3, {"a": 0.1}, ["b"])
    started = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert rank_info.current(started) == RankInfo()  # a queueing system's own variables mean nothing
    assert rank_info.current({**started, "MASTER_ADDR": "a", "MASTER_PORT": "1"}) == RankInfo(3, 4, 1, 2)


def test_processes_of_one_computer_share_its_cores(monkeypatch):
    monkeypatch.setattr(loader, "usable_cores", lambda: 16)
    assert [loader.worker_count("auto", sharing) for sharing in (1, 2, 4, 16)] == [12, 7, 3, 1]


@pytest.fixture
def second_of_four(monkeypatch):
    for name, value in zip(rank_info.VARIABLES, ("1", "4", "1", "localhost", "1"), strict=True):
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cuda", "4 processes on this computer, which has 2 CUDA devices; start 2 (--nproc 2), or add --device cpu"),
        ("cuda:1", "--device cuda:1: 4 processes train on cpu, or each on a CUDA device of its own"),
        ("mps", "--device mps: 4 processes train on cpu, or each on a CUDA device of its own"),
    ],
)
def test_processes_need_a_device_each(device, said, second_of_four, monkeypatch):
    monkeypatch.setattr(runtime, "choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError) as refused:
        runtime.choose(device, "fp32")
    assert str(refused.value) == said


def test_a_run_that_may_be_restarted_needs_a_folder_and_goes_on_there(tiny, tmp_path, monkeypatch):
    settings = tiny("pix2pix/shoes-64")
    api.train(settings, run_dir=tmp_path / "run", device="cpu", max_steps=2)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    with pytest.raises(UsageError, match="give --run-dir"):
        api.train(settings, device="cpu")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    run = api.train(settings, run_dir=tmp_path / "run", device="cpu")
    assert (run.ending, run.step) == ("finished", 4)


def test_shared_statistics_are_batch_norms_where_one_process_trains():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))
    images = torch.randn(2, 3, 8, 8)
    before, names = network(images), list(network.state_dict())
    share_statistics(network)
    assert isinstance(network[1][0], GlobalBatchNorm)
    assert list(network.state_dict()) == names
    assert torch.equal(network(images), before)


@pytest.mark.parametrize(("system", "interface"), [("linux", "lo"), ("darwin", "lo0"), ("win32", None)])
def test_ranks_of_one_computer_meet_on_its_loopback(system, interface, monkeypatch):
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.setattr(launch.sys, "platform", system)
    assert launch.environment(0, 2, 1234).get("GLOO_SOCKET_IFNAME") == interface


MEETS = """
import signal
from gantools.cli.output import console
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started this may ignore it

@console.guarded
def main():
    import torch
    from gantools.training.distributed import communicator
    communicator.REPORT_WAIT_AFTER_SECONDS = 0.1
    communicator.join(torch.device("cpu"))

main()
"""


@pytest.mark.parametrize(("rank", "number"), [(0, signal.SIGINT), (1, signal.SIGTERM)])
def test_a_rank_that_waits_alone_says_so_and_ends_at_the_first_signal(rank: int, number: signal.Signals) -> None:
    port = launch.free_port()
    place = {"RANK": str(rank), "WORLD_SIZE": "3", "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1"}
    environment = {**os.environ, **place, "MASTER_PORT": str(port), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", MEETS], stderr=subprocess.PIPE, text=True, env=environment)
    try:
        lines = [""]
        while "waiting for" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], f"it ended with {process.wait()} and said {lines}"
        waiting = f"waiting for the other 2 of 3 processes at 127.0.0.1:{port}; Ctrl-C stops"
        assert lines[-1] == f"gantools: warning: {waiting}\n"
        process.send_signal(number)
        _, more = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == -number
        assert "Traceback" not in more
    finally:
        process.kill()


def test_processes_that_cannot_reach_each_other_are_not_started(monkeypatch):
    def unreachable(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("socket.create_connection", unreachable)
    with pytest.raises(GantoolsError, match=r"cannot reach each other at 127\.0\.0\.1 \(Network is unreachable\)"):
        launch.launch(2, ["train", "pix2pix"])
