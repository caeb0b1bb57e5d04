"""scripts/download_model.py, from a server in this process."""

import pytest

from data.download import fetch
from scripts import download_model
from scripts.download_model import WEIGHTS, find_weights


def test_the_23_official_weights_have_addresses():
    names = [(name, kind) for kind, names in WEIGHTS.items() for name in names]
    assert len(names) == 23
    for name, kind in names:
        urls = find_weights(name, kind).urls
        assert all(url.endswith(f"/{name}.pth") for url in urls) and urls[0].startswith("https://")


def test_names_that_mean_none_or_two_are_refused():
    with pytest.raises(LookupError, match="no weights are known as 'horse2zebr'; did you mean 'horse2zebra'"):
        find_weights("horse2zebr")
    with pytest.raises(LookupError, match="of CycleGAN and of pix2pix: say --of cyclegan or --of pix2pix"):
        find_weights("sat2map")
    assert "pix2pix/models-pytorch/sat2map.pth" in find_weights("sat2map", "pix2pix").urls[0]


def test_weights_go_where_test_py_looks_for_them(tmp_path, monkeypatch, capsys):
    asked = []

    def fake(url, remote, path):
        asked.append(url)
        if url.startswith("https"):
            raise ConnectionError("no such server")
        path.write_bytes(b"weights")

    monkeypatch.setattr(fetch, "_fetch_from", fake)
    download_model.main(["horse2zebra", "--checkpoints_dir", str(tmp_path)])
    target = tmp_path / "horse2zebra_pretrained/latest_net_G.pth"
    assert target.read_bytes() == b"weights" and str(target) in capsys.readouterr().out
    assert [path.name for path in target.parent.iterdir()] == ["latest_net_G.pth"]
    download_model.main(["horse2zebra", "--checkpoints_dir", str(tmp_path)])
    assert len(asked) == 2  # not again


def test_without_a_network_one_line_says_so(tmp_path, monkeypatch, capsys):
    def refuse(url, remote, path):
        raise ConnectionError("no such server")

    monkeypatch.setattr(fetch, "_fetch_from", refuse)
    with pytest.raises(SystemExit):
        download_model.main(["horse2zebra", "--checkpoints_dir", str(tmp_path)])
    assert capsys.readouterr().err.count("\n") == 1
