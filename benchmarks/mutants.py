"""Thousands of spoiled image files: each is read or refused with its path and a reason; none crashes, hangs, or takes much memory.

    python -m benchmarks.mutants                    # 10,000 mutants and all bombs; a row goes into benchmarks/mutants.jsonl
    python -m benchmarks.mutants --count 300 --dry  # a small number, nothing is written

The files are read by a process of their own, as `rung predict` reads them, so that a crash is seen as what it is. Ends with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.torture.tally import Tally
from rung.data.pixels import prepare
from rung.errors import DataError
from rung.evaluate.vault import commit_of
from rung.recipe import Pixels
from rung.store import atomic
from rung.training.environment import environment

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "benchmarks" / "mutants.jsonl"
MOST_S = 2.0  # of processor time for one file
MOST_MB = 100.0  # that the process may grow by a refused file
PATIENCE_S = 60.0  # of the clock, on a machine that may be busy: after this the reader counts as hung
_SIZE = 32


@dataclass
class Outcome:
    """What became of one file: "read", "refused", or what went wrong; words: the reason, or a digest of the pixels."""

    kind: str
    words: str
    seconds: float
    grown_mb: float


@dataclass
class Findings:
    """What became of all mutants, by format and kind of mutation."""

    tally: Tally
    kinds: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    largest_mb: float = 0.0

    def note(self, name: str, outcome: Outcome) -> None:
        self.kinds[f"{name.partition('-')[0]} {outcome.kind}"] += 1
        self.slowest_s = max(self.slowest_s, outcome.seconds)
        self.largest_mb = max(self.largest_mb, outcome.grown_mb)


def originals(random: Random) -> dict[str, bytes]:
    """Return whole files of six formats in the ways that Pillow writes them, 24 to 96 pixels a side; seeded."""
    draw = np.random.default_rng(random.getrandbits(32))

    def picture(mode: str, size: tuple[int, int] | None = None) -> Image.Image:
        width, height = size or (int(n) for n in draw.integers(24, 97, 2))
        smooth = Image.fromarray(draw.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        if mode == "I;16":
            return Image.fromarray(np.asarray(smooth)[..., 0].astype(np.uint16) * 257)
        return smooth.convert(mode)

    def encoded(kind: str, mode: str, **options: Any) -> bytes:
        buffer = BytesIO()
        picture(mode, (40, 30) if "save_all" in options else None).save(buffer, kind, **options)
        return buffer.getvalue()

    exif = Image.Exif()
    exif[0x0112] = 6
    several: dict[str, Any] = {"save_all": True, "append_images": [picture("RGB", (40, 30)) for _ in range(3)]}
    return {
        "jpeg-plain": encoded("JPEG", "RGB"),
        "jpeg-grey": encoded("JPEG", "L"),
        "jpeg-progressive": encoded("JPEG", "RGB", progressive=True, quality=95, exif=exif),
        "jpeg-cmyk": encoded("JPEG", "CMYK"),
        "png-plain": encoded("PNG", "RGB"),
        "png-clear": encoded("PNG", "RGBA"),
        "png-palette": encoded("PNG", "P", transparency=3),
        "png-deep": encoded("PNG", "I;16"),
        "png-bits": encoded("PNG", "1"),
        "png-moving": encoded("PNG", "RGB", **several),
        "webp-plain": encoded("WEBP", "RGB"),
        "webp-lossless": encoded("WEBP", "RGBA", lossless=True),
        "webp-moving": encoded("WEBP", "RGB", **several),
        "bmp-plain": encoded("BMP", "RGB"),
        "bmp-palette": encoded("BMP", "P"),
        "gif-plain": encoded("GIF", "P"),
        "gif-moving": encoded("GIF", "RGB", **several),
        "tiff-plain": encoded("TIFF", "RGB"),
        "tiff-deflate": encoded("TIFF", "RGB", compression="tiff_adobe_deflate"),
        "tiff-lzw": encoded("TIFF", "L", compression="tiff_lzw"),
        "tiff-jpeg": encoded("TIFF", "RGB", compression="jpeg"),
        "tiff-deep": encoded("TIFF", "I;16"),
    }


def _bits(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 2, 8, 64))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _head(data: bytearray, random: Random) -> None:
    """Change the first 64 bytes, where sizes and kinds stand."""
    for _ in range(random.choice((1, 2, 4))):
        data[random.randrange(min(64, len(data)))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))


def _numbers(data: bytearray, random: Random) -> None:
    """Put a large or odd number somewhere."""
    size = random.choice((2, 4))
    at = random.randrange(max(1, len(data) - size))
    value = random.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), random.getrandbits(8 * size)))
    data[at : at + size] = value.to_bytes(size, random.choice(("big", "little")))


def _stretch(data: bytearray, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data))
    return start, min(len(data), start + random.randint(1, max(2, len(data) // 4)))


def _removed(data: bytearray, random: Random) -> None:
    start, end = _stretch(data, random)
    del data[start:end]


def _doubled(data: bytearray, random: Random) -> None:
    start, end = _stretch(data, random)
    data[end:end] = data[start:end]


def _noise(data: bytearray, random: Random) -> None:
    start, end = _stretch(data, random)
    data[start:end] = random.randbytes(end - start)


def _zeros(data: bytearray, random: Random) -> None:
    start, end = _stretch(data, random)
    data[start:end] = bytes(end - start)


def _cut(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data)) :]


MUTATIONS: dict[str, Callable[[bytearray, Random], None]] = {
    "bits": _bits, "head": _head, "numbers": _numbers, "removed": _removed, "doubled": _doubled, "noise": _noise, "zeros": _zeros, "cut": _cut,
}  # fmt: skip


def bombs() -> dict[str, bytes]:
    """Return small files that claim to be giant images."""
    from tests.data.nasty.tree import FILES

    def sized(kind: str, **options: Any) -> bytearray:
        buffer = BytesIO()
        Image.new("RGB", (16, 16)).save(buffer, kind, **options)
        return bytearray(buffer.getvalue())

    made = {"png-20000": bytearray(FILES["n24/bomb.png"]())}
    made["jpeg"] = sized("JPEG")
    at = made["jpeg"].index(b"\xff\xc0") + 5
    made["jpeg"][at : at + 4] = b"\xff\xff\xff\xff"
    made["gif"] = sized("GIF")
    made["gif"][6:10] = b"\xff\xff\xff\xff"
    at = made["gif"].index(b"\x2c") + 5
    made["gif"][at : at + 4] = b"\xff\xff\xff\xff"
    made["bmp"] = sized("BMP")
    made["bmp"][18:26] = (60_000).to_bytes(4, "little") * 2
    made["webp"] = sized("WEBP", lossless=True)
    made["webp"][21:25] = b"\xff\xff\xff\x0f"
    made["tiff"] = sized("TIFF", compression="tiff_adobe_deflate")
    for tag in (b"\x00\x01", b"\x01\x01"):  # width and length, of the type SHORT as Pillow writes them; LONG from now on
        at = made["tiff"].index(tag + b"\x03\x00\x01\x00\x00\x00")
        made["tiff"][at + 2 : at + 12] = b"\x04\x00\x01\x00\x00\x00" + (40_000).to_bytes(4, "little")
    return {name: bytes(content) for name, content in made.items()}


class Reader:
    """The process that reads files; it is started again after a crash or a hang."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "benchmarks.mutants", "--serve")) -> None:
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None

    def read(self, path: Path) -> Outcome:
        """Let the process read one file."""
        if self.process is None:
            # libtiff writes what it finds wrong to the error stream, once for each file
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{path}\n".encode())
            process.stdin.flush()
            with selectors.DefaultSelector() as waiting:
                waiting.register(process.stdout, selectors.EVENT_READ)
                line = process.stdout.readline() if waiting.select(PATIENCE_S) else None
        except BrokenPipeError:
            line = b""
        if line:
            return Outcome(**json.loads(line))
        self.close()
        return (
            Outcome("hung", f"no answer in {PATIENCE_S:.0f} s", PATIENCE_S, 0.0)
            if line is None
            else Outcome("crashed", f"exit code {process.returncode}", 0.0, 0.0)
        )

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def serve() -> None:
    """Read the files named on standard input and answer each with an Outcome as JSON: this is the reading process."""
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        before, started = _resident_mb("VmRSS"), time.process_time()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        try:
            image = prepare(path, Pixels(), _SIZE, 3)
            kind, words = ("read", str(image.mean())) if image.shape == (_SIZE, _SIZE, 3) else ("wrong shape", str(image.shape))
        except DataError as error:
            kind, words = "refused", str(error)
        print(json.dumps(asdict(Outcome(kind, words, time.process_time() - started, _resident_mb("VmHWM") - before))), flush=True)


def _resident_mb(name: str) -> float:
    """Return resident memory, now (VmRSS) or at its peak (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def problem(path: Path, outcome: Outcome, whole: str | None) -> str | None:
    """Return what is wrong with an outcome, or None; whole: what the whole file gave, for one that was cut."""
    if outcome.kind not in ("read", "refused"):
        return f"{path.name}: {outcome.kind}: {outcome.words}"
    if outcome.seconds > MOST_S:
        return f"{path.name}: {outcome.seconds:.1f} s"
    if outcome.kind == "refused" and outcome.grown_mb > MOST_MB:
        return f"{path.name}: refused with {outcome.grown_mb:.0f} MB"
    if outcome.kind == "refused" and (str(path) not in outcome.words or len(outcome.words) < len(str(path)) + 10):
        return f"{path.name}: refused without path or reason: {outcome.words}"
    if outcome.kind == "read" and whole is not None and outcome.words != whole:
        return f"{path.name}: cut, and read as another image"
    return None


def run(count: int, seed: int, folder: Path) -> Findings:
    """Spoil so many files, in turn of each kind, and read them; those that break a promise stay in `folder`."""
    random = Random(seed)
    findings = Findings(Tally("A spoiled image is read or refused with path and reason, in under 2 s, and no process crashes", drawn=True))
    reader = Reader()
    try:
        held = originals(random)
        whole: dict[str, str] = {}
        for name, content in held.items():
            (folder / name).write_bytes(content)
            outcome = reader.read(folder / name)
            if outcome.kind != "read":
                raise SystemExit(f"the whole file {name} is not read: {outcome.words}")
            whole[name] = outcome.words
        names, mutations = list(held), list(MUTATIONS)
        for k in range(count):
            name, mutation = names[k % len(names)], mutations[k // len(names) % len(mutations)]
            data = bytearray(held[name])
            MUTATIONS[mutation](data, random)
            path = folder / f"{k}-{name}-{mutation}"
            path.write_bytes(data)
            outcome = reader.read(path)
            wrong = problem(path, outcome, whole[name] if mutation == "cut" else None)
            findings.note(name, outcome)
            findings.tally.count(wrong)
            if not wrong:
                path.unlink()
    finally:
        reader.close()
    return findings


def run_bombs(folder: Path) -> Findings:
    """Let every bomb be refused, by a new process that has read nothing else."""
    findings = Findings(Tally("An image that claims to be giant is refused in under 2 s and under 100 MB"))
    reader = Reader()
    try:
        for name, content in bombs().items():
            path = folder / f"bomb-{name}"
            path.write_bytes(content)
            outcome = reader.read(path)
            findings.note(name, outcome)
            findings.tally.count(problem(path, outcome, None) or (None if outcome.kind == "refused" else f"{name}: {outcome.kind}"))
    finally:
        reader.close()
    return findings


def row(proof: str, findings: Findings, seed: int, seconds: float) -> dict[str, Any]:
    """Return what is kept of a run."""
    machine = environment()
    return {
        "proof": proof, "promise": findings.tally.promise, "passed": findings.tally.passed, "total": findings.tally.total,
        "failures": findings.tally.failures[:20], "outcomes": dict(sorted(findings.kinds.items())), "slowest_s": round(findings.slowest_s, 3),
        "largest_growth_mb": round(findings.largest_mb, 1), "seed": seed, "seconds": round(seconds, 1), "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit_of(ROOT), "pillow": Image.__version__, **{key: machine[key] for key in ("numpy", "processor", "python", "system") if key in machine},
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for, print it and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="how many mutants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the files that broke a promise")
    parser.add_argument("--dry", action="store_true", help="write no row")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.serve:
        serve()
        return 0
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        for proof, work in (("mutants", lambda: run(asked.count, asked.seed, folder)), ("bombs", lambda: run_bombs(folder))):
            started = time.perf_counter()
            findings = work()
            kept = row(proof, findings, asked.seed, time.perf_counter() - started)
            print(findings.tally)
            print(f"    slowest {kept['slowest_s']} s, largest growth {kept['largest_growth_mb']} MB; {kept['outcomes']}")
            if not asked.dry:
                atomic.append_line(RECORDS, kept)
            failed = failed or bool(findings.tally.failures)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
