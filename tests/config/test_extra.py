import config.extra
from config.checkout import ROOT
from config.extra import installed_by


def test_how_an_extra_is_installed_holds_wherever_the_user_is(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    assert installed_by("analyse") == "pip install -e '.[analyse]'"
    monkeypatch.chdir(tmp_path)
    assert installed_by("analyse") == f"pip install -e '{ROOT}[analyse]'"
    monkeypatch.setattr(config.extra, "ROOT", tmp_path)  # no checkout: among the packages of an environment
    assert installed_by("analyse") == "pip install 'raysieve[analyse]'"
