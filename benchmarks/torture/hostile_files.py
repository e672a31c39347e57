"""Hostile files: the kinds of published attacks on torch.load, picklescan, tarfile, numpy, zipfile and safetensors, and some of our own.

Each function takes the path `mark`, which an attack would bring into being, and returns {what it is: the file's content}.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Whom pickles call when they attack: (module, name, arguments); MARK is a path whose coming into being gives the call away.
MARK = "\0mark"
CALLS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("os", "system", (f"touch {MARK}",)), ("posix", "system", (f"touch {MARK}",)), ("nt", "system", ("calc",)), ("os", "popen", (f"touch {MARK}",)),
    ("os", "execv", ("/bin/touch", ["touch", MARK])), ("os", "mkdir", (MARK,)), ("os", "remove", (MARK,)), ("os", "_exit", (1,)),
    ("os", "putenv", ("A", "B")), ("subprocess", "Popen", (["touch", MARK],)), ("subprocess", "check_output", (["touch", MARK],)),
    ("pty", "spawn", (["touch", MARK],)), ("builtins", "eval", (f"open({MARK!r}, 'w')",)), ("builtins", "exec", (f"open({MARK!r}, 'w')",)),
    ("__builtin__", "eval", (f"open({MARK!r}, 'w')",)), ("builtins", "open", (MARK, "w")), ("builtins", "compile", ("1", "x", "eval")),
    ("builtins", "getattr", ("os", "system")), ("builtins", "print", ("x",)), ("builtins", "__import__", ("os",)), ("builtins", "breakpoint", ()),
    ("builtins", "bytearray", (10**9,)), ("builtins", "list", ((1,),)), ("io", "open", (MARK, "w")), ("io", "FileIO", (MARK, "w")),
    ("_io", "open_code", (MARK,)), ("pathlib", "PosixPath", (MARK,)), ("importlib", "import_module", ("os",)),
    ("runpy", "_run_code", (f"open({MARK!r}, 'w')", {})), ("runpy", "run_path", (MARK,)), ("code", "interact", ()), ("codeop", "compile_command", ("1",)),
    ("timeit", "timeit", (f"open({MARK!r}, 'w')",)), ("bdb", "Bdb.run", ("1",)), ("cProfile", "run", (f"open({MARK!r}, 'w')",)),
    ("pdb", "run", (f"open({MARK!r}, 'w')",)), ("trace", "Trace.run", ("1",)), ("doctest", "debug_script", (f"open({MARK!r}, 'w')",)),
    ("pydoc", "pipepager", ("x", f"touch {MARK}")), ("pip", "main", (["download", "x"],)), ("pip._internal.cli.main", "main", (["install", "x"],)),
    ("ensurepip", "_run_pip", (["install", "x"],)), ("webbrowser", "open", ("http://localhost",)), ("urllib.request", "urlopen", ("http://localhost",)),
    ("urllib.request", "urlretrieve", ("file:///etc/passwd", MARK)), ("socket", "create_connection", (("localhost", 9),)),
    ("ssl", "get_server_certificate", (("localhost", 9),)), ("http.client", "HTTPSConnection", ("x",)), ("shutil", "rmtree", (MARK,)),
    ("shutil", "copyfile", ("/etc/passwd", MARK)), ("tempfile", "mkdtemp", ()), ("linecache", "getlines", ("/etc/passwd",)),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start", ([f"touch {MARK}"],)), ("multiprocessing.util", "spawnv_passfds", ("/bin/touch", [MARK], ())),
    ("ctypes", "CDLL", ("libc.so.6",)), ("_ctypes", "dlopen", ("libc.so.6", 2)), ("operator", "attrgetter", ("system",)),
    ("operator", "methodcaller", ("x",)), ("functools", "partial", (1,)), ("functools", "reduce", (1, 2)), ("itertools", "count", ()),
    ("types", "FunctionType", (1, {})), ("types", "CodeType", ()), ("marshal", "loads", (b"N",)), ("pickle", "loads", (b"N.",)),
    ("_pickle", "loads", (b"N.",)), ("dill", "loads", (b"N.",)), ("joblib", "load", (MARK,)), ("cloudpickle", "loads", (b"N.",)),
    ("copyreg", "_reconstructor", (1, 2, 3)), ("copyreg", "add_extension", ("os", "system", 1)), ("copyreg", "__newobj__", ()), ("torch", "load", (MARK,)),
    ("torch.serialization", "load", (MARK,)), ("torch.hub", "load", ("x", "y")), ("torch.jit", "load", (MARK,)),
    ("torch.utils._config_module", "ConfigModule.load_config", (b"N.",)), ("torch._dynamo.guards", "GuardBuilder.get", ("1",)),
    ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression", ("1", ())), ("torch.utils.collect_env", "run", (f"touch {MARK}",)),
    ("torch.utils.bottleneck.__main__", "run_cprofile", ("1", {})), ("torch.utils.data.datapipes.utils.decoder", "basichandlers", ("pickle", b"N.")),
    ("numpy", "load", (MARK,)), ("numpy", "fromfile", (MARK,)), ("numpy", "memmap", (MARK, "uint8", "w+", 0, (1,))), ("numpy", "save", (MARK, 1)),
    ("numpy", "zeros", (10**12,)), ("numpy", "frombuffer", (b"x",)), ("numpy.testing._private.utils", "runstring", (f"open({MARK!r}, 'w')", {})),
    ("numpy.f2py.crackfortran", "myeval", (f"open({MARK!r}, 'w')",)), ("numpy.core.multiarray", "scalar", (1, 2)),
    ("numpy.lib", "format.open_memmap", (MARK,)), ("pandas", "read_pickle", (MARK,)), ("pandas", "eval", ("1",)),
    ("pandas.io.common", "get_handle", (MARK, "w")), ("PIL.ImageShow", "WindowsViewer", ()), ("sklearn.datasets._base", "load_files", (MARK,)),
    ("idlelib.run", "Executive.runcode", ("1",)), ("lib2to3.pgen2.grammar", "Grammar.loads", (b"N.",)), ("rung.store.atomic", "write_text", (MARK, "x")),
    ("rung.own", "load", (f"{MARK}:x",)), ("rung.data.formats.pickles", "_ALLOWED.__setitem__", (1, 2)), ("numpy", "dtype.__class__.mro.x", ()),
    ("numpy", "ndarray.tofile", (MARK,)), ("_codecs", "encode.__self__.lookup", ("x",)), ("_codecs", "decode", (b"x",)),
)  # fmt: skip


def pickled(mark: Path) -> dict[str, bytes]:
    """Return pickles that call what is in CALLS, in the three ways that protocols have, and pickles that are hostile in themselves."""
    made: dict[str, bytes] = {}
    for module, name, arguments in CALLS:
        given = pickle.dumps(_marked(arguments, mark), 2)[2:-1]
        made[f"{module}.{name} GLOBAL"] = b"\x80\x02c" + f"{module}\n{name}\n".encode() + given + b"R."
        made[f"{module}.{name} STACK_GLOBAL"] = b"\x80\x04" + _text(module) + _text(name) + b"\x93" + given + b"R."
    shell = _text(f"touch {mark}")
    good = {b"data": np.arange(12, dtype=np.uint8).reshape(2, 6)}
    system = b"\x80\x02cos\nsystem\n" + shell + b"\x85R."
    return made | {
        "a name of lines and colours": b"\x80\x04" + _text("o\ns\x1b[31m") + _text("system") + b"\x93)R.",
        "a name of a megabyte": b"\x80\x04" + _text("os" * 2**19) + _text("system") + b"\x93)R.",
        "a GLOBAL of a megabyte": b"\x80\x02c" + b"os" * 2**19 + b"\nsystem\n)R.",
        "INST": b"(S'touch " + str(mark).encode() + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'touch " + str(mark).encode() + b"'\no.",
        "NEWOBJ": b"\x80\x02cnumpy\nndarray\nK\x01\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04" + _text("numpy") + _text("ndarray") + b"\x93)}\x92.",
        "EXT1": b"\x80\x02\x82\x01.", "EXT2": b"\x80\x02\x83\x01\x00.", "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.", "PERSID": b"Pos.system\n.",
        "BINPERSID": b"\x80\x02K\x01Q.", "NEXT_BUFFER": b"\x80\x05\x97.", "READONLY_BUFFER": b"\x80\x05\x97\x98.",
        "STACK_GLOBAL from the memo": b"\x80\x04" + _text("os") + b"\x94" + _text("system") + b"\x94\x30\x30h\x00h\x01\x93" + shell + b"\x85R.",
        "before the end": system[:-1] + b"0" + pickle.dumps(good, 2)[2:], "in a frame": b"\x80\x04\x95" + struct.pack("<Q", len(system) - 2) + system[2:],
        "in a wrong frame": b"\x80\x04\x95" + struct.pack("<Q", 1) + system[2:], "unknown protocol": b"\x80\x09" + system[2:], "no protocol": system[2:],
        "unknown opcode": b"\x80\x02\xff" + system[2:], "a 7z file, as scanners skip": b"7z\xbc\xaf\x27\x1c" + system,
        "a zip file, as torch writes": _zipped({"archive/data.pkl": system}), "huge memo": b"\x80\x02K\x01r\xff\xff\xff\x7f.",
        "huge memo in text": b"\x80\x02K\x01p99999999999\n.", "huge text": b"\x80\x02X\xff\xff\xff\x7fabc.",
        "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.", "huge number": b"\x80\x02\x8b\xff\xff\xff\x7fx.",
        "a number of many digits": b"\x80\x02L" + b"9" * 9999 + b"L\n.", "empty": b"", "a dot": b".",
        "no end": b"\x80\x02]",
        "cut short": pickle.dumps(good, 2)[:-20], "a web page": b"<html>", "objects": pickle.dumps(np.array([{}, None], dtype=object), 2),
        "records": pickle.dumps(np.zeros(2, dtype=[("a", "u1")]), 2), "masked": pickle.dumps(np.ma.masked_array([1, 2]), 2),
        "a class of numpy": pickle.dumps(np.float64(1), 2),
        "state for a type": b"\x80\x02cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb.",
        "state for a function": b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb.",
        "another class": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nK\x01K\x00\x85X\x01\x00\x00\x00b\x87R.",
        "no state": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85X\x01\x00\x00\x00b\x87R.",
        "a call of ndarray": b"\x80\x02cnumpy\nndarray\nJ\x00\x00\x00\x7f\x85R.",
        "another encoding": b"\x80\x02c_codecs\nencode\n" + _text("a") + _text("rot13") + b"\x86R.",
        "a huge type": b"\x80\x02cnumpy\ndtype\n" + _text("S99999999") + b"\x85R.", "a shape that is not there": _array((10**9, 10**9), 4),
        "a negative shape": _array((-1, 4), 4),
    }  # fmt: skip


def _array(shape: tuple[int, ...], held: int) -> bytes:
    """Return a pickled array of bytes whose shape is not that of what it holds."""
    kind = b"cnumpy\ndtype\nX\x02\x00\x00\x00u1K\x00K\x01\x87R"
    start = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85X\x01\x00\x00\x00b\x87R"
    return start + b"(K\x01" + pickle.dumps(shape, 2)[2:-1] + kind + b"\x89" + pickle.dumps(bytes(held), 3)[2:-1] + b"tb."


def _marked(value: Any, mark: Path) -> Any:
    if isinstance(value, str):
        return value.replace(repr(MARK), repr(str(mark))).replace(MARK, str(mark))
    return type(value)(_marked(item, mark) for item in value) if isinstance(value, list | tuple) else value


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def tars(mark: Path) -> dict[str, bytes]:
    """Return archives in the place of an official data set; MARK, or what leads to it, must not come into being."""
    up = "../" * 12 + str(mark).lstrip("/")
    long = "d" * 240

    def packed(*members: tuple[str, dict[str, Any]] | tuple[str, dict[str, Any], bytes], **options: Any) -> bytes:
        return gzip.compress(_tar(*members, **options), 1)

    def patched(place: int, field: bytes, size: int = 600) -> bytes:
        """Return an archive of one member with other bytes in its header, whose checksum is right."""
        header = bytearray(_tar(("cifar/train", {}, bytes(size))))
        header[place : place + len(field)] = field
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header[:512])
        return gzip.compress(bytes(header))

    good = _tar(("cifar/train", {}, pickle.dumps({b"data": 1}, 2)))
    chain = [(f"{long}{k}", {"type": tarfile.SYMTYPE, "linkname": long * 8}) for k in range(16)]
    nested = _header("././@LongLink", b"L", 9) + b"cifar/ab\0".ljust(512, b"\0")
    extended = _header("x", b"x", 20) + b"20 path=cifar/train\n".ljust(512, b"\0")
    return {
        "a link": packed(("cifar/train", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})),
        "a link up": packed(("cifar/train", {"type": tarfile.SYMTYPE, "linkname": up})),
        "a link to itself": packed(("cifar/train", {"type": tarfile.SYMTYPE, "linkname": "train"})),
        "a hard link": packed(("cifar/train", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})),
        "a hard link up": packed(("cifar/train", {"type": tarfile.LNKTYPE, "linkname": up})),
        "a file through a link": packed(("cifar", {"type": tarfile.SYMTYPE, "linkname": str(mark.parent)}), (f"cifar/{mark.name}", {}, b"x")),
        "a file through a link of the same name": packed(("train", {"type": tarfile.SYMTYPE, "linkname": str(mark)}), ("train", {}, b"x")),
        "a chain of links longer than a path (CVE-2025-4517)": packed(
            *chain, ("a", {"type": tarfile.SYMTYPE, "linkname": "/".join([long] * 16)}), ("a/train", {}, b"x")
        ),
        "a link after a folder (CVE-2025-4330)": packed(
            ("d", {"type": tarfile.DIRTYPE}), ("d/l", {"type": tarfile.SYMTYPE, "linkname": ".."}), ("d/l/train", {}, b"x")
        ),
        "a hard link to a link (CVE-2025-4138)": packed(
            ("l", {"type": tarfile.SYMTYPE, "linkname": up}), ("train", {"type": tarfile.LNKTYPE, "linkname": "l"})
        ),
        "a link by pax": packed(("cifar/train", {"type": tarfile.SYMTYPE, "pax_headers": {"linkpath": up}}), format=tarfile.PAX_FORMAT),
        "a character device": packed(("cifar/train", {"type": tarfile.CHRTYPE})), "a block device": packed(("cifar/train", {"type": tarfile.BLKTYPE})),
        "a pipe": packed(("cifar/train", {"type": tarfile.FIFOTYPE})), "an unknown type": patched(156, b"Z"),
        "a folder in place of the file": packed(("cifar/train", {"type": tarfile.DIRTYPE})), "up": packed((up, {}, b"x")),
        "up within": packed((f"cifar/{up}", {}, b"x")), "up by a dot": packed((f"./{up}", {}, b"x")), "only up": packed(("..", {"type": tarfile.DIRTYPE})),
        "up by lines and colours": packed(("../a\nb\x1b[31m/train", {}, b"x")),
        "absolute": packed((str(mark), {}, b"x")), "two slashes": packed((f"/{mark}", {}, b"x")),
        "a folder, absolute": packed((str(mark), {"type": tarfile.DIRTYPE})), "a drive": packed(("C:\\train", {}, b"x")),
        "a drive with slashes": packed(("C:/train", {}, b"x")), "up with backslashes": packed(("..\\..\\train", {}, b"x")),
        "a share": packed(("\\\\server\\share\\train", {}, b"x")), "a stream": packed(("train:stream", {}, b"x")),
        "up by pax": packed(("x", {"pax_headers": {"path": up}}, b"x"), format=tarfile.PAX_FORMAT),
        "absolute by pax": packed(("x", {"pax_headers": {"path": str(mark)}}, b"x"), format=tarfile.PAX_FORMAT),
        "up for all, by pax": packed(("cifar/train", {}, b"x"), format=tarfile.PAX_FORMAT, pax_headers={"path": up}),
        "up by a long name": packed(("../" * 200 + "train", {}, b"x"), format=tarfile.GNU_FORMAT),
        "many members": packed(*((f"cifar/{k}", {}, b"") for k in range(1001))),
        "twice": packed(*((name, {}, pickle.dumps({})) for name in ("a/train", "b/train"))), "a bomb": packed(("cifar/train", {}, bytes(40_000_000))),
        "a bomb beside": packed(("cifar/zeros", {}, bytes(40_000_000))),
        "a bomb of small files": packed(*((f"cifar/{k}", {}, bytes(50_000)) for k in range(900))),
        "a bomb in a second stream": gzip.compress(good) + gzip.compress(bytes(60_000_000), 9),
        "a name of 30 MB": packed(("x" * 30_000_000, {}, b""), format=tarfile.GNU_FORMAT),
        "a pax field of 30 MB": packed(("x", {"pax_headers": {"comment": "x" * 30_000_000}}, b""), format=tarfile.PAX_FORMAT),
        "a size of 8 GB": patched(124, b"77777777777\0"), "a size of 2**80": patched(124, b"\x80" + bytes(1) + b"\1" + bytes(9)),
        "a negative size (CVE-2025-8194)": patched(124, b"\xff" * 11 + b"\x00"), "a size that is no number": patched(124, b"zzzzzzzzzzz\0"),
        "a size by pax": packed(("cifar/train", {"pax_headers": {"size": "99999999999999"}}, b"x"), format=tarfile.PAX_FORMAT),
        "a negative size by pax": packed(("cifar/train", {"pax_headers": {"size": "-512"}}, b"x"), format=tarfile.PAX_FORMAT),
        "a size by pax that is no number": packed(("cifar/train", {"pax_headers": {"size": "1e9"}}, b"x"), format=tarfile.PAX_FORMAT),
        "a sparse file of a terabyte": packed(
            ("cifar/train", {"pax_headers": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(10**12)}}, b"1\n0\n1\n"),
            format=tarfile.PAX_FORMAT,
        ),
        "a sparse map without end": packed(
            ("cifar/train", {"pax_headers": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}}, b"99999999\n" * 60), format=tarfile.PAX_FORMAT
        ),
        "a sparse map that is no number": packed(
            ("cifar/train", {"pax_headers": {"GNU.sparse.map": "x,y", "GNU.sparse.size": "1"}}, b""), format=tarfile.PAX_FORMAT
        ),
        "a pax header of length 0": gzip.compress(_header("x", b"x", 512) + b"0 path=x\n".ljust(512, b"\0") + good),
        "a pax header that never ends": gzip.compress(_header("x", b"x", 512) + b"999999999 path=x\n".ljust(512, b"\0") + good),
        "long names in long names": gzip.compress(nested * 5000 + good), "pax headers in pax headers": gzip.compress(extended * 5000 + good),
        "a wrong checksum": gzip.compress(b"y" + good[1:]), "cut in a header": gzip.compress(good[:300]), "cut in the data": gzip.compress(good[:520]),
        "cut gzip": gzip.compress(good)[:-30], "a wrong gzip sum": gzip.compress(good)[:-8] + bytes(8), "rubbish in gzip": gzip.compress(os.urandom(4000)),
        "empty": b"", "only a gzip header": gzip.compress(good)[:10], "no gzip": good, "bzip2": bz2.compress(good), "xz": lzma.compress(good),
        "zip": _zipped({"train": b"x"}), "a web page": b"<!DOCTYPE html><html>404</html>",
        "a hostile pickle": packed(
            *((f"cifar/{name}", {}, b"\x80\x02cos\nsystem\n" + _text(f"touch {mark}") + b"\x85R.") for name in ("meta", "train", "test"))
        ),
    }  # fmt: skip


def _tar(*members: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **{"format": tarfile.GNU_FORMAT, **options}) as archive:
        for name, fields, *content in members:
            member = tarfile.TarInfo(name)
            data = content[0] if content else b""
            member.size = len(data)
            for field, value in fields.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _header(name: str, kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.USTAR_FORMAT)


def _zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


PLAIN = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 8, 8)}"


def npy(text: str, data: bytes = bytes(128), version: bytes = b"\x01\x00") -> bytes:
    """Return a .npy file with this header, whether it fits its data or not."""
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little") + text.encode() + data


def npys(mark: Path) -> dict[str, bytes]:
    """Return .npy files whose headers lie, or call."""

    def shaped(shape: str) -> str:
        return PLAIN.replace("(2, 8, 8)", shape)

    def typed(kind: str) -> str:
        return PLAIN.replace("'|u1'", kind)

    return {
        "more than it holds": npy(shaped("(99999999, 8, 8)")), "less than it holds": npy(PLAIN, bytes(1000)), "one byte more": npy(PLAIN, bytes(127)),
        "ten trillion": npy(shaped("(10000000000000,)")), "more than an index can count": npy(shaped("(9223372036854775807, 9223372036854775807)")),
        "as many as wrap to 128": npy(shaped("(4294967296, 4294967296, 128)")), "negative": npy(shaped("(-2, 8, 8)")),
        "twice negative": npy(shaped("(-2, -8, 8)")), "a fraction": npy(shaped("(2.0, 8, 8)")), "true": npy(shaped("(True, 128)")),
        "a shape of text": npy(shaped("('2', 8, 8)")), "a shape that is a list": npy(shaped("[2, 8, 8]")),
        "hundreds of axes": npy(shaped("(" + "1, " * 100 + "128)")), "objects": npy(typed("'|O'"), pickle.dumps([os.getcwd])),
        "objects in records": npy(typed("[('a', '|O')]")),
        "objects that run": npy(shaped("(1,)").replace("|u1", "|O"), b"\x80\x02cos\nsystem\n" + _text(f"touch {mark}") + b"\x85R."),
        "a huge type": npy(typed("'|S2147483647'")), "a type of no size": npy(typed("'|S0'")), "an unknown type": npy(typed("'|q9'")),
        "void": npy(typed("'|V1'")), "dates": npy(typed("'<M8[D]'")), "a type of thousands of parts": npy(typed(str([(f"f{k}", "|u1") for k in range(900)]))),
        "a type that calls": npy(typed(f"__import__('os').system('touch {mark}')")), "a call": npy(f"__import__('os').system('touch {mark}')"),
        "a lambda": npy("(lambda: 1)()"), "a comprehension": npy("[1 for x in (1,)]"), "deep": npy("(" * 9000 + ")" * 9000),
        "deep signs": npy("-" * 9000 + "1"), "a power": npy(shaped("(9**9**9,)")), "a long header": npy(PLAIN + " " * 20_000),
        "a header of 4 GB": npy(PLAIN, b"", b"\x02\x00")[:8] + b"\xff\xff\xff\xff", "no table": npy("[1, 2]"),
        "a key too many": npy(PLAIN[:-1] + ", 'x': 1}"),
        "a key too few": npy("{'descr': '|u1'}"), "fortran_order is text": npy(PLAIN.replace("False", "'no'")),
        "not text": b"\x93NUMPY\x01\x00\x04\x00\xff\xfe\xfd\xfc", "another version": npy(PLAIN, bytes(128), b"\x03\x00"),
        "no version": npy(PLAIN, bytes(128), b"\x09\x09"), "cut in the header": npy(PLAIN)[:20], "only the magic": b"\x93NUMPY", "no array": b"not an array",
        "a pickle": b"\x80\x02cos\nsystem\n" + _text(f"touch {mark}") + b"\x85R.", "empty": b"",
    }  # fmt: skip


def npzs(mark: Path) -> dict[str, bytes]:
    """Return .npz files: those of `npys` within one, and zip files that are hostile in themselves."""
    good, up = npy(PLAIN), "../" * 12 + str(mark).lstrip("/")
    whole = _zipped({"x.npy": good, "y.npy": npy(PLAIN.replace("(2, 8, 8)", "(2,)"), b"\0\1")})
    bomb = io.BytesIO()
    np.lib.format.write_array(bomb, np.zeros((100, 500, 500), np.uint8))
    doubled = io.BytesIO()
    with zipfile.ZipFile(doubled, "w") as archive:
        archive.writestr("x.npy", good)
        archive.filelist.append(archive.filelist[0])  # the same bytes by two names in the directory: an overlap
    link = io.BytesIO()
    with zipfile.ZipFile(link, "w") as archive:
        entry = zipfile.ZipInfo("x.npy")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, str(mark))
    return {f"{name}, in a zip": _zipped({"x.npy": content, "y.npy": b""}) for name, content in npys(mark).items()} | {
        "a bomb": _zipped({"x.npy": bomb.getvalue()}, zipfile.ZIP_DEFLATED), "a bomb of bzip2": _zipped({"x.npy": bomb.getvalue()}, zipfile.ZIP_BZIP2),
        "up": _zipped({f"{up}.npy": good}), "absolute": _zipped({f"{mark}.npy": good}), "a drive": _zipped({"C:\\x.npy": good}),
        "a key of lines": _zipped({"a\nb.npy": good}), "the same twice": doubled.getvalue(), "a link": link.getvalue(),
        "a claimed size": whole.replace(struct.pack("<II", len(good), len(good)), struct.pack("<II", len(good), 2**31)),
        "encrypted": whole.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
        "an unknown method": whole.replace(b"\x14\x00\x00\x00\x00\x00", b"\x14\x00\x00\x00\x63\x00"),
        "a wrong sum": whole.replace(good, npy(PLAIN, b"\1" * 128)), "cut short": whole[:-40], "only the end": whole[-22:],
        "a npz in a npz": _zipped({"x.npz": whole}), "no member": _zipped({}),
        "a pickle in it": _zipped({"x.pkl": b"\x80\x02cos\nsystem\n" + _text(f"touch {mark}") + b"\x85R."}),
        "a directory that is not there": whole[:-6] + b"\xff\xff\xff\x7f\0\0", "a tar": _tar(("x.npy", {}, good)), "a web page": b"<html>", "empty": b"",
        "a broken one": b"PK\x03\x04 broken",
    }  # fmt: skip


def tensors(mark: Path) -> dict[str, bytes]:
    """Return safetensors files whose headers lie."""

    def file(header: str | bytes, data: bytes = b"", size: int | None = None) -> bytes:
        text = header.encode() if isinstance(header, str) else header
        return (len(text) if size is None else size).to_bytes(8, "little") + text + data

    def one(**changed: Any) -> str:
        return json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changed}})

    two = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}
    return {
        "empty": b"", "seven bytes": bytes(7), "no header": bytes(8), "a header of 2**64": file("{}", size=2**64 - 1),
        "a header of 2**63": file("{}", size=2**63), "a header longer than the file": file("{}", size=100), "a header of 32 MB": file(b" " * (32 << 20)),
        "a list": file("[]"), "a number": file("1"),
        "no JSON": file("{x"),
        "not text": file(b"\xff\xfe{}"),
        "deep": file("[" * 60_000),
        "deep tables": file('{"a":' * 20_000),
        "NaN": file(one(shape=[float("nan")]), bytes(8)), "no offsets": file('{"a": {}}'), "one offset": file(one(data_offsets=[0]), bytes(8)),
        "offsets of text": file(one(data_offsets=["0", "x"]), bytes(8)), "an end after the file": file(one(data_offsets=[0, 9**15])),
        "an infinite end": file('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,1e999]}}', bytes(8)),
        "an end of a fraction": file(one(data_offsets=[0, 8.5]), bytes(8)),
        "an end of many digits": file('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,' + "9" * 5000 + "]}}", bytes(8)),
        "a negative start": file(one(data_offsets=[-8, 8]), bytes(8)), "an end before the start": file(one(data_offsets=[8, 0]), bytes(8)),
        "a hole": file(one(data_offsets=[4, 12]), bytes(12)), "an overlap": file(json.dumps(two), bytes(12)), "more data": file(one(), bytes(9)),
        "less data": file(one(), bytes(7)), "a shape that does not fit": file(one(shape=[99]), bytes(8)),
        "a shape that overflows": file(one(shape=[2**62, 2**62]), bytes(8)), "a negative shape": file(one(shape=[-2]), bytes(8)),
        "a shape of text": file(one(shape="2"), bytes(8)), "a type that is none": file(one(dtype="PICKLE"), bytes(8)),
        "no type": file(one(dtype=None), bytes(8)), "metadata that are no text": file('{"__metadata__": {"a": 1}}'),
        "metadata that are a list": file('{"__metadata__": []}'),
        "the same name twice": file('{"a":{},' + one()[1:], bytes(8)),
        "a pickle": b"\x80\x02cos\nsystem\n" + _text(f"touch {mark}") + b"\x85R.", "a zip, as torch writes": _zipped({"archive/data.pkl": b"\x80\x02N."}),
        "a web page": b"<html>not found</html>",
    }  # fmt: skip
