"""Pickled pandas tables: of every pandas since 0.25, hostile ones, and the process that reads them and can do nothing else."""

from __future__ import annotations

import pickle
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data.formats import confined, frame_records
from rung.data.imageset import TEST, TRAIN, ImageSet
from rung.data.load import load
from rung.errors import DataError
from rung.recipe import Data, Pixels

SAMPLES = sorted((Path(__file__).parent / "pandas_tables").glob("*.pkl"))
SAMPLE = SAMPLES[0].read_bytes()


def loaded(*sources: Path, **data: object) -> ImageSet:
    return load(Data.model_validate({"sources": tuple(str(s) for s in sources), **data}), Pixels())


def test_there_is_a_sample_of_each_way_that_pandas_has_written_tables() -> None:
    assert [path.stem for path in SAMPLES] == [f"pandas-{v}" for v in ("0.25.3", "1.1.5", "1.3.5", "1.5.3", "2.3.3", "3.1.1-pyarrow", "3.1.1")]


@pytest.mark.parametrize("path", SAMPLES, ids=[path.stem for path in SAMPLES])
def test_the_tables_of_old_and_new_pandas_are_read_alike_and_without_pandas(path: Path) -> None:
    numbers = np.arange(12)
    found = confined.columns(path)
    assert list(found) == [*(f"pixel{k}" for k in range(16)), "label", "split", "patient"]
    for k in range(16):
        assert np.array_equal(found[f"pixel{k}"], numbers * k % 256)
    assert found["split"].tolist() == ["train"] * 8 + ["test"] * 4
    assert found["patient"].tolist() == [f"p{k // 2}" for k in numbers]
    images = loaded(path)
    assert np.array_equal(images.images.reshape(12, 16), np.outer(numbers, np.arange(16)) % 256)
    assert images.labels.tolist() == [0, 1] * 6
    assert images.parts.tolist() == [TRAIN] * 8 + [TEST] * 4
    assert images.groups is not None
    assert (np.diff(images.groups.reshape(6, 2), axis=1) == 0).all()


class Global:
    """A module's name in a pickle, called or built if asked."""

    def __init__(self, module: str, name: str) -> None:
        self.text = f"c{module}\n{name}\n".encode()


class Made:
    """What a pickle makes: a call of a global, or an empty object with a state."""

    def __init__(self, what: Global, *arguments: Any, state: Any = None) -> None:
        self.what, self.arguments, self.state = what, arguments, state


def written(value: Any) -> bytes:
    """Return a value as opcodes of a pickle, without the end."""
    if isinstance(value, Global):
        return value.text
    if isinstance(value, Made):
        body = written(value.what) + written(value.arguments) + (b"\x81" if value.state is not None and not value.arguments else b"R")
        return body + (written(value.state) + b"b" if value.state is not None else b"")
    if isinstance(value, tuple):
        return b"(" + b"".join(map(written, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(written, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(written(k) + written(v) for k, v in value.items()) + b"u"
    return pickle.dumps(value, 3)[2:-1]


INDEX = Global("pandas.core.indexes.base", "_new_Index")
RANGE = Global("pandas.core.indexes.range", "RangeIndex")


def counting(stop: int, step: int = 1, start: int = 0) -> Made:
    return Made(INDEX, RANGE, {"name": None, "start": start, "stop": stop, "step": step})


def numbers(count: int, size: int = 4) -> Made:
    dtype = Made(Global("numpy", "dtype"), "u1", False, True, state=(3, "|", None, None, None, -1, -1, 0))
    return Made(
        Global("numpy.core.multiarray", "_reconstruct"), Global("numpy", "ndarray"), (0,), b"b", state=(1, (count, size), dtype, False, bytes(count * size))
    )


def block(values: Any, start: Any, stop: Any, step: Any = 1) -> Made:
    return Made(Global("pandas._libs.internals", "_unpickle_block"), values, Made(Global("builtins", "slice"), start, stop, step), 2)


def texts(kind: str, count: int, ends: bytes, content: bytes, offset: int = 0) -> Made:
    buffers = [None, *(Made(Global("pyarrow.lib", "py_buffer"), b) for b in (ends, content))]
    array = Made(Global("pyarrow.lib", "_restore_array"), (Made(Global("pyarrow.lib", "type_for_alias"), kind), count, 0, offset, buffers, [], None))
    return Made(Global("pandas.arrays", "ArrowStringArray"), state={"_pa_array": array})


def frame(blocks: list[Any], columns: Any) -> bytes:
    manager = Made(Global("pandas.core.internals.managers", "BlockManager"), tuple(blocks), [columns, counting(4)])
    return b"\x80\x02" + written(Made(Global("pandas.core.frame", "DataFrame"), state={"_mgr": manager})) + b"."


FOUR = np.arange(5, dtype="<i4").tobytes()
CATEGORIES = Made(Global("pandas", "CategoricalDtype"), state={"categories": counting(2), "ordered": False})
UNKNOWN_CODES = Made(Global("pandas", "Categorical"), state={"_codes": numbers(1), "_dtype": CATEGORIES})


def test_the_assembler_of_these_tests_writes_what_pandas_would() -> None:
    found = frame_records.columns(frame([block(numbers(2), 0, 2), block(texts("string", 4, FOUR, b"abcd"), 2, 3)], counting(3)), "x")
    assert {name: column.tolist() for name, column in found.items()} == {"0": [0] * 4, "1": [0] * 4, "2": ["a", "b", "c", "d"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"a": 1}, 2), "holds dict, not a pandas DataFrame: save the table itself, with its to_pickle"),
        (b"\x80\x02" + written(counting(3)) + b".", "holds _new_Index, not a pandas DataFrame"),
        (b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.", r"asks for os\.system, which a data file has no need of: it is refused and nothing was run"),
        (frame([Made(Global("os", "system"), "true")], counting(1)), r"asks for os\.system"),
        (frame([Made(Global("pandas", "read_pickle"), "http://x")], counting(1)), r"asks for pandas\.read_pickle"),
        (frame([Made(Global("pyarrow.lib", "foreign_buffer"), 1, 2)], counting(1)), r"asks for pyarrow\.lib\.foreign_buffer"),
        (frame([Made(Global("builtins", "eval"), "1")], counting(1)), r"asks for builtins\.eval"),
        (frame([block(numbers(2), 0, 3)], counting(3)), "a block of 2 columns is said to be 3"),
        (frame([block(numbers(2), 0, 2)], counting(3)), "its columns are not all there"),
        (frame([block(numbers(2), -2, 0)], counting(2)), "a block lies outside of the table"),
        (frame([block(numbers(2), 1, 3)], counting(2)), "a block lies outside of the table"),
        (frame([block(numbers(2), 0, 2, 0)], counting(2)), "a block lies outside of the table"),
        (frame([block(numbers(2), 0, "2")], counting(2)), "holds str where a whole number should be"),
        (frame([block(numbers(1), 0, 1), block(numbers(1, 5), 1, 2)], counting(2)), "not of one length"),
        (frame([block(numbers(2), 0, 2)], counting(2**40)), "an index counts to 1,099,511,627,776"),
        (frame([block(numbers(2), 0, 2)], counting(2, 0)), r"no pandas table that is known \(ValueError"),
        (frame([numbers(2)], counting(2)), "holds a block of a kind that is not known"),
        (frame([block(texts("string", 4, b"", b"abcd"), 0, 1)], counting(1)), "a column of text does not fit its bytes"),
        (frame([block(texts("string", 2, np.array([0, 9, 1], "<i4").tobytes(), b"abcd"), 0, 1)], counting(1)), "a column of text does not fit its bytes"),
        (frame([block(texts("string", 2, np.array([2, 1, 2], "<i4").tobytes(), b"abcd"), 0, 1)], counting(1)), "a column of text does not fit its bytes"),
        (frame([block(texts("string", 2**40, b"", b""), 0, 1)], counting(1)), "counts to"),
        (frame([block(texts("int64", 1, bytes(16), b""), 0, 1)], counting(1)), "of the Arrow type int64"),
        (frame([block(UNKNOWN_CODES, 0, 1)], counting(1)), "codes that stand for nothing"),
        (frame([block(CATEGORIES, 0, 1)], counting(1)), "a column is a CategoricalDtype, which is not read: save it as numbers or text"),
        (SAMPLE[:-40], "not a whole pickle"),
        (b"", "not a whole pickle"),
    ],
)  # fmt: skip
def test_hostile_and_broken_tables_are_refused_by_name_and_nothing_runs(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=rf"x\.pkl.*{message}"):
        frame_records.columns(content, str(path))
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_refused_in_the_child_is_said_here(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(frame([Made(Global("os", "system"), "true")], counting(1)))
    with pytest.raises(DataError, match=r"x\.pkl: it asks for os\.system, which a data file has no need of: it is refused and nothing was run"):
        loaded(tmp_path / "x.pkl")
    with pytest.raises(DataError, match=r"none\.pkl cannot be read: No such file"):
        confined.columns(tmp_path / "none.pkl")


def test_a_table_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(frame([block(numbers(2), 0, 2)], counting(2**24)))
    with pytest.raises(DataError, match="needs more than 5 times its size in memory: it is refused"):
        confined.columns(tmp_path / "x.pkl")


def test_a_file_of_more_than_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "x.pkl").open("wb") as file:
        file.truncate(confined.MAX_BYTES + 1)
    with pytest.raises(DataError, match="has 1,073,741,825 bytes, more than 1,073,741,824: it is refused"):
        confined.columns(tmp_path / "x.pkl")


@pytest.mark.parametrize(
    ("attempt", "error"),
    [
        ("open('/etc/passwd')", "Too many open files"),
        ("open(sys.argv[0] + '.out', 'w')", "Too many open files"),
        ("__import__('socket').socket()", "Too many open files"),
        ("__import__('subprocess').run(['true'])", "Too many open files"),
        ("bytearray(2**28)", "MemoryError"),
    ],
)
def test_the_confined_process_can_open_nothing_and_take_little(attempt: str, error: str) -> None:
    before = "import sys, socket, subprocess; from rung.data.formats.confined import confine; sys.stdin; confine(2**26, 5)\n"
    done = subprocess.run([sys.executable, "-c", before + attempt], capture_output=True, text=True)
    assert done.returncode == 1
    assert error in done.stderr


def test_the_confined_process_ends_when_its_time_is_over() -> None:
    code = "from rung.data.formats.confined import confine; confine(2**26, 1)\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == -signal.SIGXCPU
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0


def test_a_process_that_is_killed_is_named_with_its_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "_PROGRAM", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(DataError, match=r"the process that read it ended \(signal 9\): it is refused"):
        confined.columns(SAMPLES[0])
    monkeypatch.setattr(confined, "_PROGRAM", "1 / 0")
    with pytest.raises(DataError, match=r"ended \(ZeroDivisionError: division by zero\)"):
        confined.columns(SAMPLES[0])


OBJECTS = b'{"columns": [["a", "O", [9]]]}'
ANSWERS = [b"", b"abc", bytes(8) + b"{}", b"\x02" + bytes(7) + b"{}", b"\x02" + bytes(7) + b"[]", bytes([len(OBJECTS)]) + bytes(7) + OBJECTS]


@pytest.mark.parametrize("written", ANSWERS)
def test_an_answer_of_the_child_that_is_none_is_refused(written: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "_PROGRAM", f"import sys; sys.stdout.buffer.write({written!r})")
    with pytest.raises(DataError, match=r"the process that read it gave no answer that can be used .*it is refused"):
        confined.columns(SAMPLES[0])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_tables_are_read_or_refused(path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(path.read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    try:
        frame_records.columns(bytes(data), "x")
    except DataError:
        return


def test_cells_without_a_value_name_the_row(tmp_path: Path) -> None:
    held = {"label": np.array(["a", None], dtype=object), "path": np.array(["x.png", "y.png"], dtype=object)}
    names = texts("string", 2, np.array([0, 5, 9], "<i4").tobytes(), b"labelpath")
    objects = Made(Global("numpy", "dtype"), "O8", False, True, state=(3, "|", None, None, None, -1, -1, 63))
    cells = [value for column in held.values() for value in column]
    array = Made(Global("numpy.core.multiarray", "_reconstruct"), Global("numpy", "ndarray"), (0,), b"b", state=(1, (2, 2), objects, False, cells))
    columns = Made(INDEX, Global("pandas", "Index"), {"data": names, "name": None})
    (tmp_path / "x.pkl").write_bytes(frame([block(array, 0, 2)], columns))
    assert {name: column.tolist() for name, column in confined.columns(tmp_path / "x.pkl").items()} == {name: column.tolist() for name, column in held.items()}
    with pytest.raises(DataError, match=r"x\.pkl: row 1 has no label: every image needs one"):
        loaded(tmp_path / "x.pkl")


@pytest.mark.extras
def test_what_this_pandas_writes_is_read(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    values = np.random.default_rng(0).integers(0, 256, (40, 16))
    table = pandas.DataFrame(values, columns=[f"pixel{k}" for k in range(16)])
    table["label"] = np.arange(40) % 2
    for protocol in range(2, 6):
        table.to_pickle(tmp_path / "x.pkl", protocol=protocol)
        assert np.array_equal(loaded(tmp_path / "x.pkl").images.reshape(40, 16), values)
    part = table[table["label"] == 1].assign(label=["dog"] * 20, other=1.5)
    pandas.concat([part, table[table["label"] == 0].iloc[:5].assign(label="cat")]).to_pickle(tmp_path / "x.pkl")
    images = loaded(tmp_path / "x.pkl")
    assert images.classes == ("cat", "dog")
    assert np.array_equal(images.images.reshape(25, 16), np.concatenate([values[1::2], values[:10:2]]))


@pytest.mark.extras
@pytest.mark.parametrize(("change", "message"), [({"label": "2020"}, "asks for pandas"), ({"when": "2020-01-01"}, "asks for ")])
def test_columns_of_other_types_say_what_they_ask_for(tmp_path: Path, change: dict[str, str], message: str) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(np.zeros((4, 16)), columns=[f"pixel{k}" for k in range(16)]).assign(label=[0, 1, 0, 1])
    for name, value in change.items():
        table[name] = pandas.array([1, None, 1, 0], dtype="Int64") if name == "label" else pandas.to_datetime([value] * 4)
    table.to_pickle(tmp_path / "x.pkl")
    with pytest.raises(DataError, match=message):
        loaded(tmp_path / "x.pkl")


@pytest.mark.extras
def test_five_tables_and_a_test_table_as_of_the_cnn_ladder(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    rows = {}
    for name in (*(f"train_batch{k}" for k in range(1, 6)), "test_batch1"):
        rows[name] = random.integers(0, 256, (30, 1024)).astype(float)
        table = pandas.DataFrame(rows[name], columns=[f"pixel{k}" for k in range(1024)])
        table["label"] = np.arange(30) % 10
        table.to_pickle(tmp_path / f"{name}.pkl")
    images = loaded(tmp_path)
    assert images.images.shape == (180, 32, 32, 1)
    assert images.root_names == ("test_batch1", *(f"train_batch{k}" for k in range(1, 6)))
    assert np.bincount(images.parts).tolist() == [150, 0, 30]
    assert np.array_equal(images.images[images.roots == 3].reshape(30, 1024), rows["train_batch3"])
    assert images.remarks == ("whole floating point values in 0..255 were taken as they are",)


def test_tables_whose_names_do_not_say_so_are_named(tmp_path: Path) -> None:
    for path in SAMPLES:
        folder = tmp_path / path.stem
        folder.mkdir()
        (folder / "train_batch1").write_bytes(path.read_bytes())
        with pytest.raises(DataError, match=r"no image found in .*train_batch1 is a pickled table: give such files names that end with \.pkl$"):
            loaded(folder)


@pytest.mark.extras
def test_colour_rows_of_planes_need_to_be_named_so(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    small = np.random.default_rng(0).random((6, 3, 4, 4))
    planes = (np.kron(small, np.ones((8, 8))) * 255).astype(np.uint8)
    table = pandas.DataFrame(planes.reshape(6, -1), columns=[f"pixel{k}" for k in range(3072)]).assign(label=[0, 1] * 3)
    table.to_pickle(tmp_path / "x.pkl")
    with pytest.raises(DataError, match=r"two things: .*data\.layout = 'planes'.*neighbouring pixels differ by"):
        loaded(tmp_path / "x.pkl")
    assert np.array_equal(loaded(tmp_path / "x.pkl", layout="planes").images, planes.transpose(0, 2, 3, 1))
