"""Bad command lines and bad files: (command line, the files in its folder, what the message must contain).

A file is bytes or text; a name that ends in "/" is a folder.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

Content = bytes | str
OWN = (Path(__file__).parent.parent / "lab" / "own.py").read_text()


def own(old: str = "", new: str = "") -> dict[str, Content]:
    """The tests' own workload with a mistake in it."""
    assert old in OWN, f"{old!r} must be in own.py"
    return {"own.py": OWN.replace(old, new, 1)}


def npy(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values), allow_pickle=True)
    return file.getvalue()


def npz(**arrays: object) -> bytes:
    file = io.BytesIO()
    arguments: dict[str, Any] = {name: np.asarray(values) for name, values in arrays.items()}
    np.savez(file, **arguments)
    return file.getvalue()


def header(shape: str, kind: str = "<f8") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


VECTOR = [[float(i * i % 17), float(i * 7 % 23)] for i in range(40)]
LABELS = [i % 3 for i in range(40)]
X_CSV = "".join(f"{a},{b}\n" for a, b in VECTOR)
Y_CSV = "".join(f"{label}\n" for label in LABELS)
TWO: dict[str, Content] = {"x.csv": X_CSV, "y.csv": Y_CSV}
DEEP = "[" * 100_000
ROW = {"workload": "digits", "epochs": 1, "part": "test", "method": "adam", "lr": 0.001, "seed": 0}
QUICK = "--epochs 1 --bounds workload --threads 1"

Row = tuple[str, dict[str, Content], tuple[str, ...]]

COMMAND_LINES: list[Row] = [
    # Words and numbers of each command
    ("", {}, ("train",)),
    ("fly", {}, ("fly",)),
    ("--vresion", {}, ("--vresion",)),
    ("train --epochs", {}, ("--epochs",)),
    ("train --epochs three", {}, ("--epochs", "three")),
    ("train --epochs 2.5", {}, ("--epochs", "2.5")),
    ("train --epochs -1", {}, ("epochs", "-1")),
    ("train --seed 9223372036854775808", {}, ("seed", "9223372036854775808")),
    ("train --seed 1e3", {}, ("--seed", "1e3")),
    ("train --threads -2", {}, ("threads", "-2")),
    ("train --threads 99999999999999", {}, ("threads", "99999999999999")),
    ("train --threads two", {}, ("--threads", "two")),
    ("train --lr-max -0.1", {}, ("lr_max", "-0.1")),
    ("train --lr-min inf", {}, ("lr_min", "inf")),
    ("train --lr-min 0.1 --lr-max 0.01", {}, ("lr_min", "0.1", "0.01")),
    ("train --lr-top 0.5 --lr-min 0.001 --lr-max 0.1", {}, ("lr_top", "0.5")),
    ("train --epsilon nan", {}, ("epsilon", "nan")),
    ("train --validation -0.1", {}, ("validation", "-0.1")),
    ("train --validation 1", {}, ("validation", "1")),
    ("train --validation 0.001", {}, ("validation", "0.001")),
    ("train --budget 3", {}, ("budget", "3", "infopace")),
    ("train --method sgd-cosine --lr 0.1 --budget 3", {}, ("budget", "3", "sgd-cosine")),
    ("train --method adam --budget 0", {}, ("budget", "0")),
    ("train --method adam --budget 99", {}, ("budget", "99")),
    ("train --held-out -0.1", {}, ("held_out", "-0.1")),
    ("train --held-out 1.5", {}, ("held_out", "1.5")),
    ("train --horizon eternal", {}, ("horizon", "eternal")),
    ("train --bounds guess", {}, ("bounds", "guess")),
    ("train --track excel", {}, ("track", "excel")),
    ("train --bf16 maybe", {}, ("maybe",)),
    ("train --device cuda:-1", {}, ("device", "cuda:-1")),
    ("train --device ''", {}, ("device",)),
    ("train --device meta", {}, ("device", "meta")),
    ("train --method adam --lr -1", {}, ("lr", "-1")),
    ("train --method adam --lr nan", {}, ("lr", "nan")),
    ("train --method adam --epsilon 0.1", {}, ("epsilon", "adam")),
    ("train --method ''", {}, ("method",)),
    ("train ''", {}, ("train", "''")),
    ("train digits mnist-10k", {}, ("mnist-10k",)),
    ("train --out ''", {}, ("out",)),
    ("train --out file.txt", {"file.txt": "x"}, ("file.txt",)),
    ("train --out file.txt/run", {"file.txt": "x"}, ("file.txt",)),
    ("train --out thesis", {"thesis/text.tex": "x"}, ("thesis",)),
    (f"train --out {'x' * 300}", {}, ("xxx",)),
    ("range-test --method race --trials -1", {}, ("trials", "-1")),
    ("range-test --trials 1.5", {}, ("--trials", "1.5")),
    ("range-test --share 0", {}, ("share", "0")),
    ("range-test --share nan", {}, ("share", "nan")),
    ("range-test --low -1", {}, ("low", "-1")),
    ("range-test --low 1 --high 0.1", {}, ("low", "0.1")),
    ("range-test --method paper --low 2", {}, ("low", "2")),
    ("range-test --method paper --epochs-each 0", {}, ("epochs", "0")),
    ("range-test --method paper --c2 nan", {}, ("c2", "nan")),
    ("range-test --method bisect", {}, ("method", "bisect")),
    ("range-test --attribute f1", {}, ("attribute", "f1")),
    ("range-test --seed -5", {}, ("seed", "-5")),
    ("range-test --epochs 0", {}, ("epochs", "0")),
    ("range-test --threads 0", {}, ("threads", "0")),
    ("range-test --threads 99999999999999", {}, ("threads", "99999999999999")),
    ("range-test --trial -1", {}, ("trial", "-1")),
    ("range-test --trial 99 --trials 2", {}, ("trial", "99")),
    ("range-test --farm moon", {}, ("farm", "moon")),
    ("range-test --trial 0 --farm local", {}, ("trial", "local")),
    ("range-test --out ''", {}, ("out",)),
    ("range-test --out file.txt", {"file.txt": "x"}, ("file.txt",)),
    ("range-test --out thesis", {"thesis/text.tex": "x"}, ("thesis",)),
    ("range-test --merge nowhere", {}, ("nowhere",)),
    ("range-test --merge ''", {}, ("merge",)),
    ("range-test --merge file.txt", {"file.txt": "x"}, ("file.txt",)),
    ("range-test --merge empty", {"empty/": ""}, ("empty",)),
    ("range-test --merge test", {"test/test.json": "{"}, ("test.json",)),
    ("range-test --merge test", {"test/test.json": "{}"}, ("test.json",)),
    ("range-test --merge test", {"test/test.json": "[1]"}, ("test.json",)),
    ("range-test --merge test", {"test/test.json": b"\xff\xfe\x00"}, ("test.json",)),
    ("range-test --merge test", {"test/test.json": DEEP}, ("test.json",)),
    ("compare --seeds 0", {}, ("seeds", "0")),
    ("compare --seeds 5000", {}, ("seeds", "5000")),
    ("compare --seeds many", {}, ("--seeds", "many")),
    ("compare --tuning-seeds 0", {}, ("tuning_seeds", "0")),
    ("compare --finalists 0", {}, ("finalists", "0")),
    ("compare --finalists few", {}, ("--finalists", "few")),
    ("compare --rates 0.1 -0.3", {}, ("rates", "-0.3")),
    ("compare --rates 0.1 0", {}, ("rates", "0")),
    ("compare --rates 0.1 nan", {}, ("rates", "nan")),
    ("compare --rates high", {}, ("--rates", "high")),
    ("compare --rates 0.1 0.1", {}, ("rates", "0.1")),
    ("compare --methods dog --rates 0.1", {}, ("rates", "0.1", "dog")),
    ("compare --methods adam adam-as-ours", {}, ("adam-as-ours", "first")),
    ("compare --methods hold-and-decay dog-as-ours", {}, ("dog-as-ours",)),
    ("compare --methods wang-2024-as-ours", {}, ("wang-2024-as-ours",)),
    ("compare --quick", {}, ("quick", "--suite")),
    ("compare --suite fast", {}, ("suite", "fast")),
    ("compare --suite nowhere.py:SUITE", {}, ("nowhere.py",)),
    ("compare digits-mlp --suite tuning-free", {}, ("workload", "digits-mlp")),
    ("compare --suite tuning-free --methods adamw", {}, ("methods", "adamw")),
    ("compare --suite tuning-free --seeds 0", {}, ("seeds", "0")),
    ("compare --suite tuning-free --tuning-seeds 0", {}, ("tuning_seeds", "0")),
    ("compare --suite tuning-free --finalists 0", {}, ("finalists", "0")),
    ("compare --suite tuning-free --jobs 0", {}, ("jobs", "0")),
    ("compare --suite tuning-free --epochs 3", {}, ("epochs", "3")),
    ("compare --jobs 0", {}, ("jobs", "0")),
    ("compare --jobs -3", {}, ("jobs", "-3")),
    ("compare --epochs 0", {}, ("epochs", "0")),
    ("compare --methods adam adam", {}, ("methods", "adam")),
    ("compare --methods adamw", {}, ("adamw",)),
    ("compare --methods ''", {}, ("method",)),
    ("compare --methods wang-2024-free", {}, ("wang-2024-free",)),
    ("compare --methods adam-layer-wise", {}, ("adam-layer-wise",)),
    ("compare --device abacus", {}, ("device", "abacus")),
    ("compare nothing", {}, ("workload", "nothing")),
    ("compare --out ''", {}, ("out",)),
    ("compare --out file.txt", {"file.txt": "x"}, ("file.txt",)),
    ("compare --out thesis", {"thesis/text.tex": "x"}, ("thesis",)),
    ("compare --known nowhere.jsonl", {}, ("nowhere.jsonl",)),
    ("compare --known folder", {"folder/": ""}, ("folder",)),
    ("compare --known k.jsonl", {"k.jsonl": ""}, ("k.jsonl",)),
    ("compare --known k.jsonl", {"k.jsonl": "no json\n"}, ("k.jsonl", "line 1")),
    ("compare --known k.jsonl", {"k.jsonl": "{}\n"}, ("k.jsonl", "line 1")),
    ("compare --known k.jsonl", {"k.jsonl": "[]\n"}, ("k.jsonl", "line 1")),
    ("compare --known k.jsonl", {"k.jsonl": DEEP}, ("k.jsonl", "line 1")),
    ("compare --known k.jsonl", {"k.jsonl": b"\xff\xfe\n"}, ("k.jsonl",)),
    ("compare --known k.jsonl", {"k.jsonl": json.dumps(ROW) + "\n"}, ("k.jsonl", "line 1")),
    # Workloads of one's own
    ("train own.py:MINE", {"own.py": "MINE = 3"}, ("own.py", "int")),
    ("train own.py:MINE", {"own.py": "def ("}, ("own.py", "SyntaxError")),
    ("train own.py:MINE", {"own.py": "import no_such_thing"}, ("own.py", "no_such_thing")),
    ("train own.py:MINE", {"own.py": "import sys; sys.exit('bye')"}, ("own.py", "SystemExit")),
    ("train own.py:MINE", {"own.py": b"\xff\xfe\x00"}, ("own.py",)),
    ("train own.py:MINE", {"own.py": "raise KeyError('a\\nb')"}, ("own.py", "KeyError")),
    ("train own.py:MNIE", own(), ("MNIE", "MINE")),
    ("train own.py", own(), ("own.py",)),
    ("train own.py:MINE", {"own.py/": ""}, ("own.py",)),
    (f"train own.py:MINE {QUICK}", own("labels[:120]", "labels[:120] - 1"), ("-1",)),
    (f"train own.py:MINE {QUICK}", own("labels[120:])", "labels[120:] + 9)"), ("test", "9")),
    (f"train own.py:MINE {QUICK}", own("inputs[120:]", "inputs[120:, :3]"), ("(4, 3)",)),
    (
        f"train own.py:MINE {QUICK}",
        own("return Data(inputs[:120]", "inputs[5, 1] = float('nan')\n    return Data(inputs[:120]"),
        ("nan",),
    ),
    (
        f"train own.py:MINE {QUICK}",
        own("return Data(inputs[:120]", "inputs[150, 1] = float('nan')\n    return Data(inputs[:120]"),
        ("test", "nan"),
    ),
    (
        f"train own.py:MINE {QUICK}",
        own("F.cross_entropy(outputs, targets)", "F.cross_entropy(outputs, targets).detach()"),
        ("loss",),
    ),
    (
        f"train own.py:MINE {QUICK}",
        own("F.cross_entropy(outputs, targets)", "F.cross_entropy(outputs, targets) * float('nan')"),
        ("loss", "nan"),
    ),
    (
        f"train own.py:MINE {QUICK}",
        own("nn.Linear(8, 3))", "nn.Linear(8, 3)).requires_grad_(False)"),
        ("model",),
    ),
    (
        f"train own.py:MINE {QUICK}",
        own("def loss(outputs: Tensor", "def loss(more: Tensor, outputs: Tensor"),
        ("loss",),
    ),
    (
        f"train own.py:MINE {QUICK}",
        own("return nn.Sequential(", "import sys; sys.exit(3)\n    return nn.Sequential("),
        ("build_model", "SystemExit"),
    ),
    (f"train own.py:MINE {QUICK}", own("batch_size=16", "batch_size='16'"), ("batch_size", "16")),
    (f"train own.py:MINE {QUICK}", own("epochs=3", "epochs=None"), ("epochs",)),
    (f"train own.py:MINE {QUICK}", own('name="mine"', "name=None"), ("name", "None")),
    (f"train own.py:MINE {QUICK}", own("Task(loss, ACCURACY)", "Task(loss, 'accuracy')"), ("metric",)),
    (
        f"train own.py:MINE {QUICK}",
        own("bounds=Bounds(lr_min=0.001, lr_max=0.2, lr_top=0.1)", "bounds=0.1"),
        ("bounds", "float"),
    ),
    (f"train own.py:MINE {QUICK}", own("load=load", "load=None"), ("load", "None")),
    ("range-test own.py:MINE --epochs 1", own("labels[:120]", "labels[:120] - 1"), ("-1",)),
    (
        "compare own.py:MINE --epochs 1 --jobs 1",
        own("labels[:120]", "labels[:120] - 1"),
        ("-1",),
    ),
    # Samples
    ("measure", {}, ("X",)),
    ("measure nowhere.csv y.csv", TWO, ("nowhere.csv",)),
    ("measure x.csv", TWO, ("x.csv",)),
    ("measure x.txt y.csv", {**TWO, "x.txt": X_CSV}, ("x.txt",)),
    ("measure folder.csv y.csv", {**TWO, "folder.csv/": ""}, ("folder.csv",)),
    ("measure '' y.csv", TWO, ("''",)),
    ("measure x.csv y.csv --k 0", TWO, ("k ", "0")),
    ("measure x.csv y.csv --k 40", TWO, ("k ", "40")),
    ("measure x.csv y.csv --k 2.5", TWO, ("--k", "2.5")),
    ("measure x.csv y.csv --norm taxi", TWO, ("norm", "taxi")),
    ("measure x.csv y.csv --estimator best", TWO, ("estimator", "best")),
    ("measure x.csv y.csv --estimator ksg1", TWO, ("ksg1",)),
    ("measure x.csv y.csv --permutations -1", TWO, ("permutations", "-1")),
    ("measure x.csv y.csv z.csv", TWO, ("z.csv",)),
    ("measure x.csv y.csv", {**TWO, "x.csv": ""}, ("x.csv",)),
    ("measure x.csv y.csv", {**TWO, "x.csv": "a,b\n"}, ("x.csv",)),
    ("measure x.csv y.csv", {**TWO, "x.csv": X_CSV + "1.0\n"}, ("x.csv", "41")),
    ("measure x.csv y.csv", {**TWO, "x.csv": X_CSV + "1.0,two\n"}, ("x.csv", "41", "two")),
    ("measure x.csv y.csv", {**TWO, "x.csv": X_CSV + "1.0,nan\n", "y.csv": Y_CSV + "1\n"}, ("nan",)),
    ("measure x.csv y.csv", {**TWO, "x.csv": b"\xff\xfe\x00\x01" * 9}, ("x.csv",)),
    ("measure x.csv y.csv", {**TWO, "x.csv": b"\0" * 100}, ("x.csv",)),
    ("measure x.csv y.csv", {**TWO, "y.csv": "9" * 30 + "\n"}, ("y.csv",)),
    ("measure x.csv y.csv", {**TWO, "y.csv": Y_CSV + "1\n"}, ("y.csv, line 1", "40", "41", "--header")),
    ("measure x.npy y.csv", {**TWO, "x.npy": b"no numpy"}, ("x.npy",)),
    ("measure x.npy y.csv", {**TWO, "x.npy": npy(VECTOR)[:200]}, ("x.npy",)),
    ("measure x.npy y.csv", {**TWO, "x.npy": npy([{"a": 1}] * 40)}, ("x.npy", "objects")),
    ("measure x.npy y.csv", {**TWO, "x.npy": npy(3.0)}, ("3.0",)),
    ("measure x.npy y.csv", {**TWO, "x.npy": npy(np.empty((0, 2)))}, ("x",)),
    ("measure x.npy y.csv", {**TWO, "x.npy": npy(np.asarray(VECTOR) + 1j)}, ("complex128",)),
    ("measure x.npy y.csv", {**TWO, "x.npy": header("(1000000000000, 8)")}, ("x.npy",)),
    ("measure x.npy y.csv", {**TWO, "x.npy": header("(-4, 2)") + b"\0" * 64}, ("x.npy",)),
    ("measure x.npy y.csv", {**TWO, "x.npy": header("(" * 5000)}, ("x.npy",)),
    ("measure x.npz y.csv", {**TWO, "x.npz": b"PK\x03\x04" + b"\0" * 40}, ("x.npz",)),
    ("measure xy.npz", {"xy.npz": npz(x=VECTOR)}, ("xy.npz", "y")),
    ("measure xy.npz", {"xy.npz": zipped("x.npy", b"\0" * 40)}, ("xy.npz",)),
    ("measure x.npz y.csv", {**TWO, "x.npz": npz(a=VECTOR, b=VECTOR)}, ("x.npz", "a, b")),
    ("measure x.parquet y.csv", {**TWO, "x.parquet": b"PAR1 no PAR1"}, ("x.parquet",)),
    # Reports
    ("report", {}, ("folder",)),
    ("report nowhere", {}, ("nowhere",)),
    ("report ''", {}, ("''",)),
    ("report file.txt", {"file.txt": "x"}, ("file.txt",)),
    ("report empty", {"empty/": ""}, ("empty",)),
    ("report run", {"run/run.json": ""}, ("run",)),
    ("report run", {"run/run.json": "[]"}, ("run",)),
    ("report run", {"run/run.json": "{}"}, ("run",)),
    ("report run", {"run/run.json": DEEP}, ("run",)),
    ("report run", {"run/run.json": json.dumps({"metric": {}, "settings": 3})}, ("run",)),
    ("report run", {"run/comparison.json": "{}"}, ("comparison.json",)),
    ("report run", {"run/comparison.json": DEEP}, ("comparison.json",)),
    ("report run", {"run/range-test.json": "{}"}, ("run",)),
    ("report run --out nowhere/a.html", {"run/run.json": "{}"}, ("run",)),
]
