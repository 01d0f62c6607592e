import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError, RaysieveError
from models.commands import train as commands
from sim.commands import simulate


@pytest.fixture
def sets(torch, frame_sets):
    from models.frames.dataset import Frames

    return tuple(map(Frames, frame_sets))


@pytest.fixture(scope="session")
def small_windows(torch, tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.h5"
    options = ["--config", "wfi", "--window", "32", "--per-class", "32", "--photons", "2.5", "--particles", "2.5"]
    done = CliRunner().invoke(simulate, ["frames", str(path), *options])
    assert done.exit_code == 0, done.output
    return path


def plan(**changes):
    from models.frames.train import Plan

    return Plan(**{"epochs": 1, "batch": 32, "save_every": 2} | changes)


def test_batches_hold_every_frame_once_and_turn_them(torch, sets):
    frames = sets[0]
    energies = frames.energies(0, len(frames))
    plain = list(frames.batches(100))
    assert torch.equal(torch.cat([e for e, _, _ in plain]), energies)
    drawn = list(frames.batches(100, seed=3))
    assert sorted(torch.cat([c for _, c, _ in drawn]).tolist()) == sorted(frames.labels.tolist())
    turned = torch.cat([e for e, _, _ in drawn])
    assert not torch.equal(turned, energies)
    torch.testing.assert_close(
        turned.sum(dim=(1, 2, 3)).sort()[0], energies.sum(dim=(1, 2, 3)).sort()[0], rtol=1e-4, atol=1
    )
    again = torch.cat([e for e, _, _ in frames.batches(100, seed=3)])
    assert torch.equal(again, turned)
    rest = torch.cat([e for e, _, _ in frames.batches(100, seed=3, first=2)])
    assert torch.equal(rest, turned[200:])
    assert list(frames.batches(100, seed=3, first=99)) == []


def test_the_eight_images_of_a_square_are_different(torch):
    from models.frames.dataset import turned

    frame = torch.arange(9.0).reshape(1, 1, 3, 3)
    images = {tuple(turned(frame, which).flatten().tolist()) for which in range(8)}
    assert len(images) == 8


def test_it_learns(sets, tmp_path):
    from models.frames.train import predict, train

    network = train(*sets, tmp_path / "net.npz", plan(epochs=6))
    known = predict(network, sets[0])[0].argmax(axis=1)
    assert (known == sets[0].labels).mean() > 0.4  # by chance: 0.25
    logits, maps = predict(network, sets[1])
    np.testing.assert_allclose(logits, maps.mean(axis=(2, 3)), atol=0.02)
    pixels = np.concatenate([e.numpy().ravel() for e, _, _ in sets[0].batches(64)])
    scaled = np.log1p(np.maximum(pixels, 0) / 25.55)
    assert float(network.mean) == pytest.approx(scaled.mean(), rel=1e-3)


def test_a_stopped_training_goes_on_where_it_was(torch, sets, tmp_path):
    from models import checkpoint
    from models.frames.network import FrameNet
    from models.frames.train import train

    class Stop(Exception):
        pass

    def stop(now):
        if now.batch == 5:
            raise Stop

    out = tmp_path / "net.npz"
    with pytest.raises(Stop):
        train(*sets, out, plan(), stop)
    standing = checkpoint.load(out, FrameNet())["standing"]
    assert (standing["epoch"], standing["batch"]) == (0, 4)
    seen = []
    train(*sets, out, plan(), lambda now: seen.append((now.epoch, now.batch)))
    assert seen == [(0, 5), (0, 6), (0, 7), (0, 8), (1, 0)]
    train(*sets, out, plan(), seen.append)
    assert len(seen) == 5  # nothing left to do


def test_a_checkpoint_holds_arrays_only(torch, sets, tmp_path):
    from models.frames.train import train

    train(*sets, tmp_path / "net.npz", plan())
    with np.load(tmp_path / "net.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "fiuU" for name in file.files)


def test_a_checkpoint_of_another_plan_or_a_foreign_file_is_one_line(torch, sets, tmp_path):
    from models.frames.train import train

    out = tmp_path / "net.npz"
    train(*sets, out, plan())
    with pytest.raises(ConfigError, match=r"checkpoint of another plan .batch 32 there, 16 now"):
        train(*sets, out, plan(batch=16))
    with pytest.raises(ConfigError, match=r"checkpoint of another plan .other frames"):
        train(*sets[::-1], out, plan())
    out.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="not a checkpoint of this network"):
        train(*sets, out, plan())


def test_the_command_trains_and_refuses(torch, frame_sets, tmp_path):
    train_set, test_set = map(str, frame_sets)
    out = str(tmp_path / "net.npz")
    words = ["frames", train_set, "--validation", test_set, "--out", out, "--epochs", "1", "--batch", "64"]
    done = CliRunner().invoke(commands, words)
    assert done.exit_code == 0, done.output
    assert "accuracy" in done.output
    done = CliRunner().invoke(commands, ["frames", str(tmp_path / "no.h5"), *words[2:]])
    assert isinstance(done.exception, RaysieveError)
    assert "no.h5" in str(done.exception)


def test_rates_of_one_cycle_and_of_the_decay():
    cycle = plan(epochs=4, rate=0.01)
    assert cycle.rate_at(0, 0.0) == pytest.approx(0.0004)
    assert cycle.rate_at(0, 0.4) == pytest.approx(0.01)
    assert cycle.rate_at(2, 0.2) == pytest.approx(0.005)
    assert cycle.rate_at(3, 1.0) == pytest.approx(0)
    decay = plan(schedule="decay", rate=0.007)
    assert decay.rate_at(10, 0.9) == pytest.approx(0.007 * 0.95**10)


def test_a_cycle_cannot_be_made_longer_but_a_decay_can(sets, tmp_path):
    from models.frames.train import train

    train(*sets, tmp_path / "decay.npz", plan(schedule="decay"))
    train(*sets, tmp_path / "decay.npz", plan(schedule="decay", epochs=2))
    train(*sets, tmp_path / "cycle.npz", plan())
    with pytest.raises(ConfigError, match="epochs 1 there, 2 now"):
        train(*sets, tmp_path / "cycle.npz", plan(epochs=2))


def test_a_training_begins_in_small_windows(torch, frame_sets, small_windows, tmp_path):
    before, out = str(tmp_path / "small.npz"), str(tmp_path / "net.npz")
    words = ["frames", str(small_windows), "--validation", str(small_windows), "--out", before, "--epochs", "1"]
    done = CliRunner().invoke(commands, words)
    assert done.exit_code == 0, done.output
    train_set, test_set = map(str, frame_sets)
    words = ["frames", train_set, "--validation", test_set, "--out", out, "--epochs", "1", "--begin"]
    done = CliRunner().invoke(commands, [*words, before])
    assert done.exit_code == 0, done.output
    with np.load(before) as one, np.load(out) as other:
        assert other["network/mean"] == one["network/mean"]  # and all statistics of its layers
        assert np.array_equal(other["network/end.0.running_var"], one["network/end.0.running_var"])
        assert not np.array_equal(other["network/begin.weight"], one["network/begin.weight"])
    small = ["frames", str(small_windows), "--validation", str(small_windows), "--out", str(tmp_path / "b.npz")]
    done = CliRunner().invoke(commands, [*small, "--begin", out])
    assert "expected a network of windows of 32 x 32 or smaller" in str(done.exception)
    done = CliRunner().invoke(commands, words[:-1])
    assert "checkpoint of another plan (other begin)" in str(done.exception)


def test_other_windows_are_refused(torch, frame_sets, small_windows, tmp_path):
    words = ["frames", str(small_windows), "--validation", str(frame_sets[1]), "--out", str(tmp_path / "net.npz")]
    done = CliRunner().invoke(commands, words)
    assert isinstance(done.exception, RaysieveError)
    assert "test.h5: expected windows of 32 x 32 pixels, got 64 x 64" in str(done.exception)
