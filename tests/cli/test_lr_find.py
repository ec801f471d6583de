"""`tfnn lr-find` as a user meets it."""

import sys

import pytest

from tests.cli.test_cli import refused
from tfnn.cli import main

FAST = ["lr-find", "--model", "mlp", "--updates", "60"]


def test_it_prints_the_key_numbers_and_draws_the_curve(tmp_path, capsys):
    picture = tmp_path / "curve.png"
    assert main([*FAST, "--out", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "data    digits: 1257 train; model mlp, batch 32"
    assert (
        "learning rate 1e-07 to" in lines[1]
        and lines[2].startswith("smoothed loss 3.")
        and lines[3].startswith("suggestion 0.")
    )
    assert lines[4] == f"curve   {picture}" and picture.read_bytes()[:4] == b"\x89PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


OTHERS = {
    "seed": [["--seed", "2"]],
    "all": [["--seed", "2"], ["--optimizer", "sgd"], ["--batch-size", "64"], ["--max", "1"], ["--l2", "0"]],
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_the_same_options_give_the_same_numbers_and_others_do_not(others, capsys):
    told = []
    for more in [], [], *others:
        assert main([*FAST, *more]) == 0
        told.append(capsys.readouterr().out.partition("\n")[2])
    assert told[0] == told[1] and len(set(told)) == 1 + len(others)


def test_bad_input_is_refused_in_one_line(tmp_path, capsys):
    for options, message in (
        (["--min", "0"], "--min 0 and --max 10 must be positive and finite, the first one smaller"),
        (["--min", "2", "--max", "1"], "--min 2 and --max 1 must"),
        (["--max", "inf"], "--max inf must"),
        (["--updates", "1"], "--updates 1 must be at least 2"),
        (["--batch-size", "0"], "--batch-size 0 must be between 1 and the 1257 training examples"),
        (["--l2=-1"], "--l2 -1 must not be negative"),
        (["--seed=-1"], "--seed -1 must be in"),
        (["--data", str(tmp_path / "nowhere")], "nowhere: neither a data set"),
        (["--model", "vgg"], "--model vgg: neither resnet nor mlp nor a .keras file that exists"),
        (["--out", str(tmp_path / "absent" / "a.png")], "must be a file in a folder that exists"),
        (["--out", str(tmp_path)], "must be a file in a folder that exists"),
        (["--out", str(tmp_path / "a.txt")], "a.txt: a plot can be written as"),
    ):
        assert message in refused(capsys, *FAST, *options)


def test_without_matplotlib_it_says_what_to_type_before_the_sweep(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert 'pip install "tfnn[diagnose]"' in refused(capsys, *FAST, "--out", tmp_path / "a.png")


@pytest.mark.parametrize("word", ["--epochs", "--learning-rate", "--grow-batch"])
def test_it_takes_no_options_of_train_that_would_mean_nothing(word, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*FAST, word, "1"])
    assert ended.value.code == 2
