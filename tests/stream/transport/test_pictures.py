"""The one style of all pictures."""

import re
from pathlib import Path

import pytest
from click import Context, Group
from matplotlib import rcParams
from matplotlib.colors import to_rgb

from raysieve import cli
from stream.errors import ConfigError, LinkError
from stream.transport import pictures
from tests.pictures import check

ROOT = Path(__file__).parents[3]


def luminance(colour):
    """Return the relative luminance of WCAG 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_picture_is_in_the_style_and_leaves_the_style_of_others_alone(tmp_path, drawn):
    before = dict(rcParams)
    with pictures.picture(tmp_path / "a.png", 3, 2) as figure:
        figure.subplots().plot([1, 2], [1, 2])
        figure.axes[0].set(xlabel="time (s)", ylabel="rate (s$^{-1}$)")
    assert check(tmp_path / "a.png", drawn[0]) == ["time (s)", "rate (s$^{-1}$)"]
    assert figure.axes[0].lines[0].get_color() == pictures.BLUE
    assert dict(rcParams) == before


def test_ink_and_colours_can_be_read_on_paper():
    contrast = [1.05 / (luminance(colour) + 0.05) for colour in (pictures.INK, pictures.GREY)]
    assert min(contrast) > 4.5
    assert all(1.05 / (luminance(colour) + 0.05) > 2 for colour, *_ in pictures.STYLES)
    for each in zip(*pictures.STYLES, strict=True):
        assert len(set(map(str, each))) == len(pictures.STYLES)


def test_a_fault_while_drawing_or_writing_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), pictures.picture(tmp_path / "a.png", 3, 2):
        1 / 0  # noqa: B018
    with (
        pytest.raises(LinkError, match=r"none/a\.png: cannot be written"),
        pictures.picture(tmp_path / "none/a.png", 3, 2),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/plots: cannot be written: expected a folder for pictures"):
        pictures.folder_of_pictures(tmp_path / "file" / "plots")
    assert pictures.folder_of_pictures(tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.25, 12, [0.3, 0.5, 1, 2, 3, 5, 10]),
        (1, 1e3, [1, 3, 10, 30, 100, 300, 1000]),
        (2.2, 9, [3, 4, 5, 6, 8]),
    ],
)
def test_numbers_of_a_logarithmic_axis_are_plain(tmp_path, low, high, ticks):
    with pictures.picture(tmp_path / "a.png", 3, 2) as figure:
        axes = figure.subplots()
        axes.set(xscale="log", xlim=(low, high))
        pictures.plain_ticks(axes.xaxis, low, high)
        assert axes.get_xticks() == pytest.approx(ticks)
        assert [label.get_text() for label in axes.get_xticklabels()] == [f"{tick:g}" for tick in ticks]


def test_pictures_are_written_in_one_place():
    made = {
        str(path.relative_to(ROOT))
        for floor in ("stream", "analyse", "models", "sim", "export", "serve", "view", "bench")
        for path in (ROOT / floor).rglob("*.py")
        if any(word in path.read_text() for word in (".savefig(", "pyplot"))
    }
    assert made == {"stream/transport/pictures.py"}


@pytest.mark.parametrize("group", ["evaluate", "analyse"])
def test_every_evaluate_and_analyse_has_pictures_and_the_page_tells_which(group):
    page = (ROOT / "docs/howto/pictures.md").read_text()
    context = Context(cli)
    commands = cli.get_command(context, group)
    assert isinstance(commands, Group)
    for name in commands.list_commands(context):
        command = commands.get_command(context, name)
        assert any("--plot" in option.opts for option in command.params), name
        assert re.search(rf"`{group} [^|]*\b{name}\b", page) or re.search(rf"^\| `{group}.*`{name}`", page, re.M), name
