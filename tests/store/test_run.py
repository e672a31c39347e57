import errno
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from rung.errors import DataError, ResourceError, RunError
from rung.store import atomic, lock, run

SCORES = {part: {"accuracy": {"value": value, "low": 0.0, "high": 1.0}} for part, value in (("train", 0.9), ("validation", 0.8))}


def finished(root, identifier, accuracy=0.8):
    made = run.create(root, "model_s", 3, identifier)
    atomic.write_text(made.recipe, 'name = "model_s"\nseed = 3\n[train]\nepochs = 5\n')
    atomic.append_line(made.metrics, {"epoch": 1, "train_loss": 0.5})
    atomic.write_json(made.scores, {**SCORES, "validation": {"accuracy": {"value": accuracy}}})
    return made


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime(2026, 11, 20, 16, 22, 33, tzinfo=tz)


def test_the_id_is_utc_time_name_and_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "datetime", Clock)
    made = run.create(tmp_path / "deep" / "runs", "model_s", 3)
    assert made.folder == tmp_path / "deep" / "runs" / "20261120-162233-model_s-3"
    assert made.id == "20261120-162233-model_s-3"
    assert made.checkpoints.is_dir()
    assert made.predictions("test").parent.is_dir()


def test_the_clock_is_in_utc(tmp_path, monkeypatch):
    before = datetime.now(UTC).replace(microsecond=0)
    made = run.create(tmp_path, "a", 0)
    stamp = datetime.strptime(made.id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    assert before <= stamp <= datetime.now(UTC)


def test_runs_of_one_second_get_ids_of_their_own(tmp_path, monkeypatch):
    """N58."""
    monkeypatch.setattr(run, "datetime", Clock)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: run.create(tmp_path, "a", 0), range(24)))
    assert len({one.folder for one in made}) == 24
    base = "20261120-162233-a-0"
    assert {one.id for one in made} == {base, *(f"{base}-{number}" for number in range(2, 25))}


def test_a_named_run_that_exists_is_refused(tmp_path):
    made = run.create(tmp_path, "a", 0, "mine")
    assert made.folder == tmp_path / "mine"
    with pytest.raises(
        RunError, match=r"mine exists already, and is no run that could be gone on with \(it has no recipe.toml\): choose another name, or delete"
    ):
        run.create(tmp_path, "a", 0, "mine")
    made.recipe.write_text("")
    with pytest.raises(RunError, match=f"the run {tmp_path}/mine exists already: choose another name, or .* `rung resume {tmp_path}/mine`"):
        run.create(tmp_path, "a", 0, "mine")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "-x", "é", "a\n", "x" * 201])
def test_a_name_that_is_no_plain_word_is_refused(tmp_path, name):
    with pytest.raises(RunError, match="cannot name a run: use letters"):
        run.create(tmp_path, "a", 0, name)


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.EROFS, RunError, "cannot write .*: the file system is read-only; choose a folder that you may write with --out"),
        (errno.EACCES, RunError, "cannot write .*: no permission; choose"),
        (errno.ENOSPC, ResourceError, r"the disk is full \(4,096 bytes needed"),
    ],
)
def test_a_root_that_cannot_be_written_is_said_before_any_work(tmp_path, monkeypatch, number, kind, message):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(kind, match=message):
        run.create(tmp_path, "a", 0)


def test_a_run_is_found_by_id_folder_and_unique_beginning(tmp_path, monkeypatch):
    root = tmp_path / "runs"
    one, two = finished(root, "20261120-000000-a-0"), finished(root, "20261121-000000-b-0")
    monkeypatch.chdir(tmp_path)
    assert run.open_run("20261120-000000-a-0", root) == one
    assert run.open_run("20261121", root) == two
    assert run.open_run(two.folder, root) == two
    assert run.open_run("runs/20261120-000000-a-0", tmp_path / "elsewhere").folder.samefile(one.folder)
    monkeypatch.chdir(one.folder)
    assert run.open_run(".", root).folder.samefile(one.folder)
    assert run.open_run(".", root).id == one.id


def test_an_id_goes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    made = finished(tmp_path / "runs", "digits")
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run.open_run("digits", tmp_path / "runs") == made
    with pytest.raises(RunError, match=r"digits is not a run \(it has no recipe.toml\); the runs in .*/runs are digits$"):
        run.open_run("./digits", tmp_path / "runs")
    with pytest.raises(RunError, match=r"digits is not a run \(.*\); there is no run at all in .*/nowhere: `rung train DATA` makes one"):
        run.open_run("./digits", tmp_path / "nowhere")


def test_a_run_that_is_not_found_is_explained(tmp_path):
    with pytest.raises(RunError, match=f"there is no run 'x', and no run at all in {tmp_path}/runs: `rung train DATA` makes one"):
        run.open_run("x", tmp_path / "runs")
    for name in ("20261120-000000-model_s-0", "20261120-000000-model_s-1"):
        finished(tmp_path, name)
    with pytest.raises(RunError, match=r"'20261120' begins 2 runs in .* \(20261120-000000-model_s-0, 20261120-000000-model_s-1\): give more of the id"):
        run.open_run("20261120", tmp_path)
    with pytest.raises(RunError, match=r"there is no run '20261120-000000-model_z-0' .*: did you mean '20261120-000000-model_s-0'"):
        run.open_run("20261120-000000-model_z-0", tmp_path)
    with pytest.raises(RunError, match="there is no run ''"):
        run.open_run("", tmp_path)


@pytest.mark.parametrize("word", ["20261120-000000-a-0", "20261120", "named"])
def test_a_run_that_ended_before_it_began_is_explained(tmp_path, word):
    run.create(tmp_path, "a", 0, "named" if word == "named" else "20261120-000000-a-0")
    message = r"has no recipe.toml: it ended before its first step, so there is nothing to go on with; delete it and train again"
    with pytest.raises(RunError, match=message):
        run.open_run(word, tmp_path)
    with pytest.raises(RunError, match=message):
        run.open_run(next(tmp_path.iterdir()), tmp_path / "elsewhere")


def test_the_place_of_a_new_run_is_checked_without_a_trace(tmp_path, monkeypatch):
    run.check_new(tmp_path / "a" / "b", "name")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write .*file/runs: .*file is not a folder"):
        run.check_new(tmp_path / "file" / "runs")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RunError, match=r"cannot write .*a/b: no permission; choose a folder that you may write with --out"):
        run.check_new(tmp_path / "a" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_state_is_read_from_the_files(tmp_path):
    made = run.create(tmp_path, "a", 0)
    assert made.state() == "unfinished"
    made.write_failure(DataError("the loss is not finite"))
    assert made.state() == "failed"
    assert atomic.read_json(made.failure)["message"] == "the loss is not finite"
    assert atomic.read_json(made.failure)["exit_code"] == 2
    made.clear_failure()
    made.clear_failure()
    assert made.state() == "unfinished"
    with lock.hold(made.folder):
        assert made.state() == "running"
    atomic.write_json(made.scores, SCORES)
    assert made.state() == "finished"
    made.scores.write_text("{")
    assert made.state() == "damaged"


def test_a_failure_that_cannot_be_written_down_hides_no_other_error(tmp_path, monkeypatch):
    made = run.create(tmp_path, "a", 0)

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", refuse)
    made.write_failure(DataError("the loss is not finite"))
    assert not made.failure.exists()


def test_the_list_has_each_run_with_its_numbers(tmp_path):
    assert run.list_runs(tmp_path / "nowhere") == []
    finished(tmp_path, "b")
    finished(tmp_path, "a", accuracy=0.5)
    (tmp_path / "photos").mkdir()
    (tmp_path / "ledger.jsonl").touch()
    (tmp_path / ".git").mkdir()
    a, b = run.list_runs(tmp_path)
    assert (a.run.id, b.run.id) == ("a", "b")
    assert a == run.RunSummary(run.Run(tmp_path / "a"), "finished", None, "model_s", 3, 1, 5, 0.5, None)


def test_a_broken_run_is_listed_and_hides_no_other(tmp_path, monkeypatch):
    breaks = {
        "20261120-000001-empty-0": lambda made: shutil.rmtree(made.folder) or made.folder.mkdir(),
        "b-recipe": lambda made: made.recipe.write_bytes(b"name = \xff"),
        "c-toml": lambda made: made.recipe.write_text("name ="),
        "d-train": lambda made: made.recipe.write_text("train = 3"),
        "e-rows": lambda made: made.metrics.write_text("rubbish\n{}\n"),
        "f-scores": lambda made: made.scores.write_text("{"),
        "g-scores": lambda made: made.scores.write_text('{"validation": {"accuracy": "high"}}'),
        "h-list": lambda made: made.scores.write_text("[]"),
        "i-folder": lambda made: made.recipe.unlink() or made.recipe.mkdir(),
    }
    problems = {
        "20261120-000001-empty-0": "has no recipe.toml: it ended before its first step, and may be deleted",
        "b-recipe": "recipe.toml is damaged: it is not UTF-8",
        "c-toml": "recipe.toml is damaged",
        "d-train": "recipe.toml is damaged",
        "e-rows": "line 1 of .*metrics.jsonl is damaged",
        "f-scores": "scores.json is damaged: it is not JSON",
        "g-scores": "scores.json is damaged: it has no accuracy of validation",
        "h-list": "scores.json is damaged: it holds no table",
        "i-folder": "cannot read .*recipe.toml",
    }
    for name, spoil in breaks.items():
        spoil(finished(tmp_path, name))
    for name in ("aa-whole", "zz-whole"):
        finished(tmp_path, name)
    listed = {summary.run.id: summary for summary in run.list_runs(tmp_path)}
    assert listed.keys() == breaks.keys() | {"aa-whole", "zz-whole"}
    assert listed["aa-whole"].problem is None
    assert listed["zz-whole"].validation_accuracy == 0.8
    for name, problem in problems.items():
        assert re.search(problem, listed[name].problem or "nothing"), name
    assert listed["e-rows"].validation_accuracy == 0.8  # what can be read is shown
    for name in ("f-scores", "g-scores", "h-list"):
        assert listed[name].state == "damaged", name
        assert f"`rung resume {tmp_path / name}` writes it again" in listed[name].problem, name


def test_a_folder_that_may_not_be_looked_into_is_listed(tmp_path, monkeypatch):
    finished(tmp_path, "closed")
    finished(tmp_path, "open")
    real = os.stat

    def refuse(path, *arguments, **options):
        if "closed/" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refuse)
    closed, opened = run.list_runs(tmp_path)
    assert "Permission denied" in closed.problem
    assert opened.problem is None


def test_a_run_that_was_moved_copied_and_closed_is_read(tmp_path):
    made = finished(tmp_path / "a", "one")
    made.folder.rename(tmp_path / "moved")
    copy = shutil.copytree(tmp_path / "moved", tmp_path / "b" / "copied")
    copy.chmod(0o555)
    again = run.open_run(copy, tmp_path)
    assert again.read_rows() == [{"epoch": 1, "train_loss": 0.5}]
    assert again.read_scores()["train"] == SCORES["train"]
    assert again.read_recipe().startswith("name")
    assert again.state() == "finished"
    with pytest.raises(RunError, match=r"cannot read .*data.json: No such file"):
        again.read_data()
    copy.chmod(0o755)
