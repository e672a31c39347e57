import math
from random import Random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.errors import RunError
from rung.store import atomic, slots
from rung.training import checkpoint
from rung.training.environment import environment

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool)

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
states = st.recursive(plain, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner), max_leaves=15)


def data_file(folder, slot):
    return folder / atomic.read_json(folder / f"{slot}.json")["content"]["file"]


def bits(tensor):
    return tensor.dtype, tuple(tensor.shape), tensor.contiguous().view(torch.uint8).tolist() if tensor.numel() and tensor.ndim else tensor.tolist()


def test_tensors_of_every_kind_come_back_to_the_bit(tmp_path):
    generator = torch.Generator().manual_seed(0)
    tensors = {str(dtype): (torch.randn(3, 5, generator=generator) * 3).to(dtype) for dtype in DTYPES}
    tensors |= {"number": torch.tensor(3.5), "empty": torch.zeros(0, 4), "odd": torch.tensor([math.nan, math.inf, -0.0])}
    tensors["turned"] = torch.arange(12.0).reshape(3, 4).T
    checkpoint.save(tmp_path, "last", tensors, {"step": 1})
    loaded = checkpoint.load(tmp_path, "last")
    assert loaded is not None
    assert loaded.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert bits(loaded.tensors[name]) == bits(tensor), name
    assert loaded.notes == ()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states)
def test_plain_state_comes_back_exactly(tmp_path, value):
    checkpoint.save(tmp_path, "last", {}, {"step": 1, "value": value})
    loaded = checkpoint.load(tmp_path, "last")
    assert loaded is not None
    assert repr(loaded.state) == repr({"step": 1, "value": value})


def test_shared_and_sliced_tensors_come_back(tmp_path):
    whole = torch.arange(10.0)
    tensors = {"a": whole, "b": whole, "c": whole[2:5], "d": whole.view(2, 5)}
    checkpoint.save(tmp_path, "last", tensors, {"step": 1})
    loaded = checkpoint.load(tmp_path, "last")
    assert loaded is not None
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop"])
def test_an_optimizer_goes_on_to_the_bit(tmp_path, name):
    def made():
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 3)
        return model, getattr(torch.optim, name)(model.parameters(), lr=0.01, **({"momentum": 0.9} if name == "SGD" else {}))

    def step(model, optimizer, number):
        optimizer.zero_grad()
        model(torch.full((2, 4), float(number))).square().sum().backward()
        optimizer.step()

    model, optimizer = made()
    for number in range(3):
        step(model, optimizer, number)
    checkpoint.save(tmp_path, "last", model.state_dict(), {"step": 3, "optimizer": optimizer.state_dict()})
    again, optimizer_again = made()
    loaded = checkpoint.load(tmp_path, "last")
    assert loaded is not None
    again.load_state_dict(loaded.tensors)
    optimizer_again.load_state_dict(loaded.state["optimizer"])
    for number in range(3, 6):
        step(model, optimizer, number)
        step(again, optimizer_again, number)
    assert torch.equal(model.weight, again.weight)
    assert torch.equal(model.bias, again.bias)


def test_names_that_would_meet_in_the_file_are_kept_apart(tmp_path):
    state = {"step": 1, "a": {1: torch.tensor(1), "1": torch.tensor(2), "b": {"c": torch.tensor(3)}, "b/c": torch.tensor(4)}}
    checkpoint.save(tmp_path, "last", {"a": torch.tensor(5)}, state)
    loaded = checkpoint.load(tmp_path, "last")
    assert loaded is not None
    assert repr(loaded.state) == repr(state)
    assert loaded.tensors == {"a": torch.tensor(5)}


def test_equal_content_is_equal_bytes(tmp_path):
    tensors = {"b": torch.ones(3), "a": torch.zeros(2)}
    for folder, given_order in (("x", tensors), ("y", dict(reversed(tensors.items())))):
        checkpoint.save(tmp_path / folder, "last", given_order, {"step": 1})
    assert data_file(tmp_path / "x", "last").read_bytes() == data_file(tmp_path / "y", "last").read_bytes()
    assert (tmp_path / "x" / "last.json").read_bytes() == (tmp_path / "y" / "last.json").read_bytes()


def test_the_facts_that_the_bits_depend_on_are_stored(tmp_path):
    checkpoint.save(tmp_path, "best", {"a": torch.ones(1)}, {"step": 1})
    loaded = checkpoint.load(tmp_path, "best")
    assert loaded is not None
    assert loaded.environment == environment()


def test_other_types_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(TypeError, match="set"):
        checkpoint.save(tmp_path, "last", {}, {"step": 1, "value": {1, 2}})
    assert list(tmp_path.iterdir()) == []


def test_nothing_saved_is_none(tmp_path):
    assert checkpoint.load(tmp_path, "last") is None


def test_flipped_bits_and_cut_ends_are_found_and_the_one_before_is_used(tmp_path):
    """The store's own test flips ten times as many, in data and slot file."""
    weights = torch.randn(200, generator=torch.Generator().manual_seed(0))
    for step in (1, 2):
        checkpoint.save(tmp_path, "last", {"w": weights + step}, {"step": step})
    newest, before = data_file(tmp_path, "last"), data_file(tmp_path, "previous")
    whole = newest.read_bytes()
    draw = Random(0)
    for trial in range(120):
        changed = bytearray(whole)
        place = draw.randrange(len(whole))
        if trial < 100:
            changed[place] ^= 1 << draw.randrange(8)
        else:
            del changed[place:]
        newest.write_bytes(changed)
        loaded = checkpoint.load(tmp_path, "last")
        assert loaded is not None
        assert loaded.state["step"] == 1
        assert torch.equal(loaded.tensors["w"], weights + 1)
        assert newest.name in loaded.notes[0]
        assert before.name in loaded.notes[1]


def test_a_hostile_header_is_refused_in_one_sentence(tmp_path):
    slots.commit(tmp_path, "best", b"\xff" * 8 + b"{}", {"step": 1}, {})  # with a right SHA-256, from somebody else
    with pytest.raises(RunError, match=r"the checkpoint 'best' in .* is no safetensors file: a header of 18,446,744,073,709,551,615 bytes in 10"):
        checkpoint.load(tmp_path, "best")


def test_a_hostile_header_that_adds_up_is_refused_by_the_reader(tmp_path):
    header = b'{"a":{"dtype":"F32","shape":[99],"data_offsets":[0,4]}}'
    slots.commit(tmp_path, "best", len(header).to_bytes(8, "little") + header + bytes(4), {"step": 1}, {})
    with pytest.raises(RunError, match=r"the checkpoint 'best' in .* is no safetensors file"):
        checkpoint.load(tmp_path, "best")
