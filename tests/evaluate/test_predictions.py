import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.errors import RunError
from rung.evaluate.predictions import Predictions, load, problem, save


def predictions(count=5, classes=("cat", "dog", "frog"), part="validation", seed=0):
    random = np.random.default_rng(seed)
    return Predictions(
        part,
        tuple(classes),
        random.normal(size=(count, len(classes))).astype(np.float32),
        random.integers(0, len(classes), count),
        np.arange(count) + 7,
        random.integers(-(2**62), 2**62, count),
    )


def same(a, b):
    arrays = all(getattr(a, n).dtype == getattr(b, n).dtype and np.array_equal(getattr(a, n), getattr(b, n)) for n in ("logits", "labels", "rows", "digests"))
    return arrays and (a.part, a.classes) == (b.part, b.classes)


@given(count=st.integers(0, 30), names=st.lists(st.text(), min_size=1, max_size=5, unique=True), part=st.sampled_from(["train", "validation", "test"]))
@settings(deadline=None)
def test_what_is_saved_comes_back(tmp_path_factory, count, names, part):
    path = tmp_path_factory.mktemp("p") / "p.safetensors"
    written = predictions(count, names, part)
    save(path, written)
    assert same(load(path, names), written)


def test_names_that_are_no_utf8_come_back(tmp_path):
    names = ("caf\udce9", "🐸\n", '"')
    save(tmp_path / "p.safetensors", predictions(classes=names))
    assert load(tmp_path / "p.safetensors").classes == names


def test_equal_content_gives_equal_bytes_whatever_the_memory_layout(tmp_path):
    one = predictions(50)
    other = replace(one, logits=np.asfortranarray(one.logits), labels=np.repeat(one.labels, 2)[::2], rows=one.rows.astype(np.int32))
    save(tmp_path / "a.safetensors", one)
    save(tmp_path / "b.safetensors", other)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    save(tmp_path / "b.safetensors", replace(one, part="test"))
    assert (tmp_path / "a.safetensors").read_bytes() != (tmp_path / "b.safetensors").read_bytes()


def test_the_file_is_plain_safetensors(tmp_path):
    save(tmp_path / "p.safetensors", predictions())
    assert sorted(safetensors.numpy.load_file(tmp_path / "p.safetensors")) == ["digests", "labels", "logits", "rows"]


def test_probabilities_sum_to_one_and_losses_are_not_clipped():
    p = replace(predictions(2), logits=np.array([[0, 1, 2], [1000, 0, -1000]], np.float32), labels=np.array([0, 2]))
    assert p.probabilities().sum(axis=1) == pytest.approx([1, 1], abs=1e-15)
    assert p.losses() == pytest.approx([np.log(1 + np.e + np.e**2), 2000], rel=1e-15)


def test_of_equal_logits_the_first_class_is_the_answer():
    assert replace(predictions(1), logits=np.array([[1, 3, 3]], np.float32)).answers().tolist() == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"part": "val"}, "the part is 'val'"),
        ({"classes": ("cat", "dog", "cat")}, "two classes have the same name"),
        ({"classes": ("cat", "dog")}, r"shape \(5, 3\), but there are 2 classes"),
        ({"logits": np.zeros(5, np.float32)}, r"logits have the shape \(5,\)"),
        ({"labels": np.zeros(4, np.int64)}, r"labels have the shape \(4,\) for 5 rows"),
        ({"labels": np.array([0, 1, 2, 3, 0])}, r"labels are 0\.\.3, expected 0\.\.2"),
        ({"labels": np.array([0, 1, -1, 2, 0])}, r"labels are -1\.\.2"),
        ({"rows": np.array([1, 2, 3, 3, 4])}, "a row number is negative or there twice"),
        ({"rows": np.array([1, 2, 3, -3, 4])}, "a row number is negative"),
        (
            {"logits": np.array([[0, 0, 0]] * 3 + [[0, np.nan, 0], [np.inf, 0, 0]], np.float32)},
            r"2 of 5 validation images are not finite numbers \(first: row 10\)",
        ),
    ],
)
def test_unsound_predictions_are_neither_written_nor_read(tmp_path, change, message):
    path = tmp_path / "p.safetensors"
    bad = replace(predictions(), **change)
    with pytest.raises(RunError, match=message):
        save(path, bad)
    assert not path.exists()
    tensors = {name: np.ascontiguousarray(getattr(bad, name)) for name in ("logits", "labels", "rows", "digests")}
    path.write_bytes(safetensors.numpy.save(tensors, {"predictions": json.dumps({"part": bad.part, "classes": bad.classes})}))
    with pytest.raises(RunError, match=message) as error:
        load(path)
    assert str(path) in str(error.value)


def hostile(path):
    save(path, predictions())
    good = path.read_bytes()
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])

    def with_header(new):
        text = json.dumps(new).encode() if isinstance(new, dict) else new
        return len(text).to_bytes(8, "little") + text + good[8 + length :]

    return {
        "empty": b"",
        "seven bytes": good[:7],
        "header of 8 exabytes": (2**63 - 1).to_bytes(8, "little") + good[8:],
        "header over the cap": (17 * 2**20).to_bytes(8, "little") + b" " * (17 * 2**20 + 8),
        "no JSON": with_header(b"{" + b"x" * 50),
        "deep JSON": with_header(b"[" * 100_000),
        "not UTF-8": with_header(b"\xff" * 50),
        "a list": with_header(b"[1]"),
        "no metadata": with_header({k: v for k, v in header.items() if k != "__metadata__"}),
        "names are numbers": with_header(header | {"__metadata__": {"predictions": '{"part": "test", "classes": [1, 2, 3]}'}}),
        "names are a text": with_header(header | {"__metadata__": {"predictions": '{"part": "test", "classes": "abc"}'}}),
        "about is a number": with_header(header | {"__metadata__": {"predictions": "3"}}),
        "offsets outside": with_header(header | {"rows": header["rows"] | {"data_offsets": [0, 10**12]}}),
        "huge shape": with_header(header | {"rows": header["rows"] | {"shape": [2**62]}}),
        "another dtype": with_header(header | {"logits": header["logits"] | {"dtype": "I32"}}),
        "one tensor more": safetensors.numpy.save({**safetensors.numpy.load(good), "more": np.zeros(1)}, header["__metadata__"]),
    }


def test_hostile_files_are_refused_in_one_sentence_that_names_the_file(tmp_path):
    path = tmp_path / "p.safetensors"
    for name, content in hostile(path).items():
        path.write_bytes(content)
        with pytest.raises(RunError, match="does not hold usable predictions") as error:
            load(path)
        assert str(path) in str(error.value), name
        assert "\n" not in str(error.value), name


def test_a_header_over_16_mb_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "p.safetensors"
    save(path, predictions())
    good = path.read_bytes()
    length = int.from_bytes(good[:8], "little")
    for padding, message in ((2**24 - length, None), (2**24 - length + 8, "a header of 16,777,224 bytes")):
        path.write_bytes((length + padding).to_bytes(8, "little") + good[8 : 8 + length] + b" " * padding + good[8 + length :])
        if message is None:
            assert same(load(path), predictions())
        else:
            with pytest.raises(RunError, match=message):
                load(path)


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    save(path, predictions())
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match="usable"):
            load(path)


def test_a_missing_file_and_other_classes_are_named(tmp_path):
    path = tmp_path / "p.safetensors"
    with pytest.raises(RunError, match=r"cannot read the predictions .*p\.safetensors: No such file"):
        load(path)
    save(path, predictions())
    with pytest.raises(RunError, match="classes cat, dog, frog, expected dog, cat, frog"):
        load(path, ("dog", "cat", "frog"))


def test_sound_predictions_have_no_problem():
    assert problem(predictions()) == ""
    assert problem(predictions(0)) == ""
