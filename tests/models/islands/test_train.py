import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError, RaysieveError
from models.commands import train as commands


def plan(**changes):
    from models.islands.train import Plan

    return Plan(**{"steps": 40, "batch": 128, "save_every": 20} | changes)


def test_it_learns_what_context_there_is(known, tmp_path):
    from models.islands.train import predict, train

    network = train(*known, tmp_path / "net.npz", plan())
    score, particle = predict(network, known[0]), known[0].candidates.particle
    assert np.median(score[particle]) > np.median(score[~particle]) + 0.1
    share = particle.mean()
    assert (1 / (1 + np.exp(-score.astype(float)))).mean() == pytest.approx(share, abs=0.1)  # as rare as in the stream


def test_a_stopped_training_goes_on_where_it_was(torch, known, tmp_path):
    from models.islands.train import train

    class Stop(Exception):
        pass

    def until(step):
        def tell(now):
            if now.step == step:
                raise Stop

        return tell

    with pytest.raises(Stop):
        train(*known, tmp_path / "two.npz", plan(), tell=until(20))
    torch.manual_seed(9)
    two = train(*known, tmp_path / "two.npz", plan())
    assert all(p.isfinite().all() for p in two.parameters())
    with pytest.raises(ConfigError, match="checkpoint of another plan or of other events"):
        train(*known, tmp_path / "two.npz", plan(steps=50))
    (tmp_path / "no.npz").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="not a checkpoint of this network"):
        train(*known, tmp_path / "no.npz", plan())


def test_an_island_that_is_not_known_changes_nothing(torch, known):
    from models.islands.network import IslandNet

    network = IslandNet().eval()
    candidate, around, seen = map(torch.from_numpy, known[0].as_seen(np.arange(20)))
    other = torch.where(seen[..., None] > 0, around, 1000.0)
    with torch.no_grad():
        torch.testing.assert_close(network(candidate, around, seen), network(candidate, other, seen))
        alone = network(candidate, around * 0, seen * 0)
    assert alone.isfinite().all()


def test_the_command_trains_and_refuses_other_files(torch, event_files, tmp_path):
    out = tmp_path / "islands.npz"
    options = ["-c", "wfi", "--validation", str(event_files[1]), "--out", str(out), "--steps", "3", "--batch", "64"]
    done = CliRunner().invoke(commands, ["islands", str(event_files[0]), *options])
    assert done.exit_code == 0, done.output
    assert "3: loss" in done.output
    done = CliRunner().invoke(commands, ["islands", str(out), *options])
    assert isinstance(done.exception, RaysieveError)
    assert str(out) in str(done.exception)
