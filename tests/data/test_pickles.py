"""Pickles of plain arrays are read; nothing in any other is ever run."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data.formats import pickles
from rung.errors import DataError

GOOD = {b"data": np.arange(12, dtype=np.uint8).reshape(2, 6), b"labels": [1, 0], b"names": [b"a", b"b"], "text": "é", "x": np.array(["p", "qq"])}


class Runs:
    """Pickles as a call, which a plain unpickler would make."""

    def __init__(self, call: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.how = (call, arguments) if state is None else (call, arguments, state)

    def __reduce__(self) -> Any:
        return self.how


@pytest.mark.parametrize("protocol", range(6))
def test_plain_arrays_lists_and_text_come_back(protocol: int) -> None:
    read = pickles.loads(pickle.dumps(GOOD, protocol), "x")
    assert read.keys() == GOOD.keys()
    for key, value in GOOD.items():
        assert np.array_equal(read[key], value)


def test_python_2_text_comes_as_bytes() -> None:
    assert pickles.loads(b"(dp0\nS'labels'\np1\n(lp2\nI3\naI4\nas.", "x") == {b"labels": [3, 4]}
    assert pickles.loads(b"\x80\x02}q\x00U\x06labelsq\x01]q\x02K\x03as.", "x") == {b"labels": [3]}


def hostile(mark: Path) -> dict[str, bytes]:
    touch = f"touch {mark}"
    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (os.system, (touch,)), (os.popen, (touch,)), (subprocess.Popen, (touch.split(),)), (subprocess.check_output, (touch.split(),)),
        (eval, (f"open({str(mark)!r}, 'w')",)), (exec, (f"open({str(mark)!r}, 'w')",)), (open, (str(mark), "w")), (compile, ("1", "x", "eval")),
        (getattr, ("os", "system")), (__import__, ("os",)), (os.mkdir, (str(mark),)), (os.remove, (str(mark),)), (os._exit, (1,)), (print, ("x",)),
        (np.load, (str(mark),)), (np.fromfile, (str(mark),)), (np.memmap, (str(mark), "uint8", "w+", 0, (1,))), (np.save, (str(mark), 1)),
        (bytearray, (10**9,)), (list, ((1,),)), (np.zeros, (10**12,)), (Path, (str(mark),)),
    ]  # fmt: skip
    made = {f"{call.__module__}.{call.__name__} {p}": pickle.dumps(Runs(call, *given), p) for call, given in calls for p in (0, 2, 4)}
    shell = touch.encode()
    made |= {
        "INST": b"(S'" + shell + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + shell + b"'\no.",
        "EXT1": b"\x80\x02\x82\x01.",
        "PERSID": b"Pos.system\n.",
        "BINPERSID": b"\x80\x02K\x01Q.",
        "NEWOBJ": b"\x80\x02cnumpy\nndarray\nK\x01\x85\x81.",
        "STACK_GLOBAL from the memo": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x8c" + bytes([len(shell)]) + shell + b"\x85R.",
        "dotted": b"\x80\x04\x8c\x05numpy\x8c\x15dtype.__class__.mro.x\x93.",
        "huge memo": b"\x80\x02K\x01r\xff\xff\xff\x7f.",
        "huge text": b"\x80\x02X\xff\xff\xff\x7fabc.",
        "objects": pickle.dumps(np.array([{}, None], dtype=object), 2),
        "record": pickle.dumps(np.zeros(2, dtype=[("a", "u1")]), 2),
        "matrix": pickle.dumps(np.ma.masked_array([1, 2]), 2),
        "cut short": pickle.dumps(GOOD, 2)[:-20],
        "no pickle": b"<html>not found</html>",
        "empty": b"",
        "state for a type": b"\x80\x02cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb.",
        "state for a function": b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb.",
        "other class": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nK\x01K\x00\x85X\x01\x00\x00\x00b\x87R.",
        "no state": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85X\x01\x00\x00\x00b\x87R.",
        "call of ndarray": b"\x80\x02cnumpy\nndarray\nJ\x00\x00\x00\x7f\x85R.",
        "other encoding": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
    }  # fmt: skip
    return made


@pytest.mark.parametrize("name", hostile(Path("mark")))
def test_hostile_pickles_are_refused_and_nothing_runs(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(DataError, match="the file"):
        pickles.loads(hostile(mark)[name], "the file")
    assert not mark.exists()


def test_a_refused_global_is_named() -> None:
    for protocol in (0, 2, 4):
        with pytest.raises(DataError, match=r"it asks for (posix|nt)\.system, which a data file has no need of"):
            pickles.loads(pickle.dumps(Runs(os.system, "true"), protocol), "x")


def test_types_that_others_use_cannot_be_changed() -> None:
    before = np.dtype("uint8").str, np.dtype("uint8").metadata
    data = b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00u1K\x00K\x00\x87R(K\x03X\x01\x00\x00\x00>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb."
    pickles.loads(data, "x")
    assert (np.dtype("uint8").str, np.dtype("uint8").metadata) == before


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6), st.sampled_from([0, 2, 4]))
def test_damaged_pickles_are_read_or_refused(changes: list[tuple[int, int]], protocol: int) -> None:
    data = bytearray(pickle.dumps(GOOD, protocol))
    for at, value in changes:
        data[at % len(data)] = value
    try:
        pickles.loads(bytes(data), "x")
    except DataError:
        return
