import json
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner

from config.load import load
from config.schema import Screen as Section
from export.commands import export
from sim.commands.scene import camera_of
from stream.infer import available
from stream.messages import EventList
from stream.stages.correct import Correct
from stream.stages.reconstruct import Reconstruct
from stream.stages.screen import Screen
from stream.transport.inproc import chain


@pytest.fixture(scope="module")
def exported(torch, known, event_files, tmp_path_factory):
    from models.islands.train import Plan, train

    folder = tmp_path_factory.mktemp("islands")
    weights, model = folder / "islands.npz", folder / "islands.onnx"
    train(*known, weights, Plan(steps=60, batch=128))
    done = CliRunner().invoke(export, ["islands", str(weights), str(model), "-c", "wfi", "--test", str(event_files[1])])
    assert done.exit_code == 0, (done.output, done.exception)
    return weights, model


def test_the_card_says_what_it_is_and_that_it_is_the_same(exported, known):
    card = tomllib.loads(exported[1].with_suffix(".toml").read_text())
    assert card["parity"]["events"] == len(known[1])
    assert card["parity"]["difference"] < 1e-5
    assert card["parity"]["changed"] == 0
    assert card["input"]["around"]["shape"][0] == "n"
    roc = card["roc"]
    assert len(roc["threshold"]) == len(roc["lost_xrays"]) == len(roc["unrejected"])
    assert roc["lost_xrays"][-1] == 0


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
def test_the_stream_judges_as_the_training_saw_it(exported, known, event_files, provider):
    """The same read-outs, made again and sent through the stages, get the scores of the event set."""
    if provider not in available():
        pytest.skip(f"{provider} is not installed")
    import onnxruntime

    from models.candidates import Events

    events, scenes, readouts = Events(event_files[1]), known[1], 60
    session = onnxruntime.InferenceSession(exported[1])
    rows = np.flatnonzero(scenes.readout < readouts)
    arrays = dict(zip(("candidate", "around", "known"), scenes.as_seen(rows), strict=True))
    expected = session.run(None, arrays)[0]

    config = load("wfi", ())
    config = config.model_copy(update={"screen": Section(model=str(exported[1]), provider=provider, batch_readouts=7)})
    made_of = json.loads(events.about)
    defaults = {"flux": None, "line_ev": (), "table": "", "arf": "", "point": None, "hits": ""}
    camera = camera_of(config, defaults | made_of, made_of["readouts"])
    maps = {q.id: camera.detector.true_maps(q.id) for q in config.detector.quadrants}
    stages = [Correct(config, maps), Reconstruct(config), Screen(config)]
    lists = [one for m in camera.messages(readouts) for one in chain(stages, m) if isinstance(one, EventList)]
    assert len(lists) == readouts
    stream = np.concatenate([one.events for one in lists])
    judged = stream[np.isfinite(stream["p_particle"])]
    assert len(judged) == rows.size > 100
    np.testing.assert_allclose(judged["p_particle"], expected, atol=1e-4)


def test_the_first_read_out_from_a_socket_finds_everything_compiled(exported):
    from stream.judges.islands import Islands
    from stream.kernels import context
    from stream.messages import EVENT, TRACK

    judge = Islands(Section(model=str(exported[1]), provider="cpu"))
    kernels = (context.list_islands, context.describe_candidates, context.surround)
    known = [len(kernel.signatures) for kernel in kernels]
    events, tracks = np.zeros(4, EVENT), np.zeros(2, TRACK)
    events.flags.writeable = tracks.flags.writeable = False
    one = EventList(stream="", sequence=0, time_ns=0, events=events, tracks=tracks)
    judge.judge([one, one], [np.arange(3), np.arange(0)])
    assert [len(kernel.signatures) for kernel in kernels] == known
