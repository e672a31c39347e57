import errno
import os
import re

import pytest

from benchmarks.torture import ledgers as torture
from rung.errors import ResourceError, RunError, VerificationError
from rung.store import atomic, ledger


@pytest.fixture
def root(tmp_path):
    """A folder of runs with five openings: A B A A B."""
    for number, key in enumerate("ABAAB"):
        ledger.record(tmp_path, key, {"run": f"run{number}", "commit": None})
    return tmp_path


def lines(root):
    return (root / "ledger.jsonl").read_bytes().splitlines(keepends=True)


def put(root, changed):
    (root / "ledger.jsonl").write_bytes(b"".join(changed))


def test_openings_are_counted_for_each_test_set(tmp_path):
    assert ledger.openings(tmp_path, "A") == []
    assert [ledger.record(tmp_path, key, {"run": "r"})["opening"] for key in ("A", "B", "A", 'q"uo\\te é', "A", 'q"uo\\te é')] == [1, 1, 2, 1, 3, 2]
    rows = ledger.openings(tmp_path, "A")
    assert [row["opening"] for row in rows] == [1, 2, 3]
    assert rows[0]["run"] == "r"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", rows[0]["time"])
    assert rows[0]["version"]
    assert ledger.verify(tmp_path) == 6


def test_an_empty_folder_has_no_openings(tmp_path):
    assert ledger.verify(tmp_path) == 0
    assert ledger.openings(tmp_path / "nowhere", "A") == []


def test_the_runs_of_a_study_count_in_the_ledger_of_its_root(root):
    """And their receipts are verified there."""
    runs = root / "climb" / "runs"
    (runs / "one").mkdir(parents=True)
    assert ledger.home(runs) == runs
    (root / "climb" / "ladder.json").write_text("{}")
    assert ledger.home(runs) == root
    line = ledger.record(ledger.home(runs), "A", {"run": "one"})
    assert line["opening"] == 4
    atomic.write_json(runs / "one" / ledger.RECEIPT, line)
    assert ledger.verify(runs) == ledger.verify(root) == 6
    put(root, lines(root)[:-1])
    with pytest.raises(VerificationError, match=r"lacks opening 4 of .*climb/runs/one/opening\.json holds: its end was cut off"):
        ledger.verify(root)


def test_the_ledger_writes_its_own_fields_itself(tmp_path):
    with pytest.raises(ValueError, match="the ledger itself writes opening, time"):
        ledger.record(tmp_path, "A", {"opening": 1, "time": "never"})


@pytest.mark.parametrize("number", range(1, 7))
def test_a_changed_line_is_named(root, number):
    whole = lines(root)
    for old, new in ((b'"hash": "', b'"hash": "0'), (b'"time": "20', b'"time": "19'), (b'", "', b'",  "'), (b"\n", b" \n")):
        changed = list(whole)
        changed[number - 1] = whole[number - 1].replace(old, new, 1)
        assert changed != whole
        put(root, changed)
        with pytest.raises(VerificationError, match=rf"line {number} of {root}/ledger\.jsonl was changed") as caught:
            ledger.verify(root)
        assert caught.value.exit_code == 1
    put(root, whole)
    assert ledger.verify(root) == 5


def test_flipped_bits_are_found(root):
    whole = (root / "ledger.jsonl").read_bytes()
    for place in range(0, 8 * len(whole), 67):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        (root / "ledger.jsonl").write_bytes(changed)
        if place // 8 == len(whole) - 1:  # the last newline: a torn line, as after a crash
            continue
        with pytest.raises(VerificationError, match="line"):
            ledger.verify(root)


def test_a_removed_an_added_and_a_moved_line_are_found(root):
    whole = lines(root)
    for changed in (whole[:2] + whole[3:], [*whole[:3], whole[2], *whole[3:]], [whole[0], whole[2], whole[1], *whole[3:]], whole[1:]):
        put(root, changed)
        with pytest.raises(VerificationError, match=r"line \d of .* (does not follow line \d|does not name a ledger)"):
            ledger.verify(root)


def test_a_forged_number_is_found_though_its_hash_fits(root):
    whole = lines(root)
    row = atomic.split_lines(whole[5], root).rows[0]
    forged = ledger._sealed({name: value for name, value in {**row, "opening": 1}.items() if name != "hash"})
    put(root, [*whole[:5], atomic.encode_line(forged)])
    with pytest.raises(VerificationError, match=r"line 6 of .* says it is opening 1 of its test set, but it is number 2"):
        ledger.verify(root)


def test_a_cut_end_is_found_by_the_receipt_of_a_run(root):
    (root / "run9").mkdir()
    line = ledger.record(root, "A", {"run": "run9"})
    atomic.write_json(root / "run9" / ledger.RECEIPT, line)
    assert ledger.verify(root) == 6
    put(root, lines(root)[:-1])
    with pytest.raises(VerificationError, match=rf"lacks opening 4 of 20.*, which {root}/run9/opening\.json holds: its end was cut off"):
        ledger.verify(root)
    (root / "ledger.jsonl").unlink()
    with pytest.raises(VerificationError, match=r"ledger\.jsonl is gone, but .*opening\.json says that a test set was opened at .*: put the ledger back"):
        ledger.verify(root)


def test_a_tested_run_in_a_folder_without_a_ledger_needs_the_ledger_it_came_with(root, tmp_path_factory):
    new = tmp_path_factory.mktemp("new")
    (new / "run9").mkdir()
    atomic.write_json(new / "run9" / ledger.RECEIPT, ledger.record(root, "A", {"run": "run9"}))
    with pytest.raises(VerificationError, match="if the run was copied from another folder of runs, copy the ledger from there as well"):
        ledger.verify(new)
    (new / "ledger.jsonl").write_bytes((root / "ledger.jsonl").read_bytes())
    assert ledger.verify(new) == 6


def test_a_run_copied_from_another_folder_of_runs_is_no_fault(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    line = ledger.record(other, "A", {"run": "guest"})
    (root / "guest").mkdir()
    atomic.write_json(root / "guest" / ledger.RECEIPT, line)
    assert ledger.verify(root) == 5


def test_a_torn_line_is_cut_off_by_the_next_writer_who_says_so(root):
    whole = (root / "ledger.jsonl").read_bytes()
    last = lines(root)[-1]
    for kept in (1, 2, len(last) // 2, len(last) - 2, len(last) - 1):
        (root / "ledger.jsonl").write_bytes(whole + last[:kept])
        assert len(ledger.openings(root, "B")) == 2  # a reader leaves it alone
        assert ledger.record(root, "B", {})["opening"] == 3
        assert ledger.openings(root, "B")[-1]["torn_bytes_cut"] == kept
        assert ledger.verify(root) == 6


def test_a_torn_first_line_begins_again(tmp_path):
    (tmp_path / "ledger.jsonl").write_bytes(b'{"ledger": "12')
    assert ledger.record(tmp_path, "A", {})["opening"] == 1
    assert ledger.verify(tmp_path) == 1


def test_a_damaged_ledger_takes_no_opening(root):
    put(root, [b"rubbish\n", *lines(root)[1:]])
    with pytest.raises(RunError, match=r"is damaged: b'rubbish.*' is no line of a ledger; put back a copy"):
        ledger.record(root, "A", {})


def test_a_full_disk_leaves_the_ledger_as_it_was(root, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = lines(root)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(ResourceError, match=r"cannot write .*ledger\.jsonl: the disk is full"):
            ledger.record(root, "A", {})
    assert lines(root) == before
    assert ledger.record(root, "A", {})["opening"] == 4


def test_many_writers_of_whom_some_are_killed_lose_and_double_nothing(tmp_path):
    """16 writers of 1,000 openings: `python -m benchmarks.torture.ledgers`."""
    acknowledged, failures = torture.storm(tmp_path, writers=4, count=25, kills=6)
    assert acknowledged == 100
    assert failures == []
