"""The library imports on every operating system and without the extra `lab`; the command then names what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from infopace.lab.errors import OF_THE_EXTRA

ROOT = Path(__file__).resolve().parent.parent
# What the library must do without: Unix's file locks, and everything but torch and numpy.
ABSENT = ("fcntl", "pandas", *OF_THE_EXTRA)
# What takes long to import. A command imports it when it needs it, and the library never.
SLOW = {
    "accelerate",
    "datasets",
    "keras",
    "lightning",
    "matplotlib",
    "numba",
    "pandas",
    "pytorch_optimizer",
    "scipy",
    "sklearn",
    "submitit",
    "tensorboard",
    "transformers",
    "torch._dynamo",
    "torch._inductor",
}
LINE = 'infopace: this command needs {}: pip install "infopace[lab]"\n'


def python(*arguments: str, without: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    """A process of its own, to which some modules do not exist."""
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({without!r}))\n")
    path = os.pathsep.join([str(folder), str(ROOT / "src")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_those_named_in_the_design_are_absent() -> None:
    assert {"fcntl", "tyro", "matplotlib", "datasets", "rich", "sklearn", "scipy", "pandas"} <= set(ABSENT)


def test_the_library_imports_and_measures_without_them(tmp_path: Path) -> None:
    script = (
        "import infopace, torch\n"
        "x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))\n"
        "y = (x[:, 0] > 0).long()\n"
        "probe = infopace.Probe(x, y)\n"
        "model = torch.nn.Linear(2, 2)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "infopace.MutualInformationLR(optimizer, model, probe, infopace.Bounds(1e-3, 0.1)).observe()\n"
        "print(infopace.mutual_information(x, y).nats > 0.5, infopace.find_bounds.__name__)\n"
    )
    ran = python("-W", "ignore", "-c", script, without=ABSENT, folder=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "True find_bounds\n", "")


def test_importing_the_library_imports_nothing_but_torch_and_numpy(tmp_path: Path) -> None:
    """So that `import infopace` costs little beyond torch. jaxtyping is imported where it is installed."""
    script = (
        "import sys, torch\n"
        "before = set(sys.modules)\n"
        "import infopace\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names\n"
        f"print(sorted(new - {{'infopace', 'numpy', 'torch', 'jaxtyping'}}), set(sys.modules) & {SLOW!r})\n"
    )
    ran = python("-c", script, without=(), folder=tmp_path)
    assert (ran.stdout, ran.stderr) == ("[] set()\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]], ids=" ".join)
def test_help_waits_for_nothing_slow(arguments: list[str], tmp_path: Path) -> None:
    script = (
        "import sys, infopace.cli as cli\n"
        f"cli.main({arguments!r})\n"
        f"print(set(sys.modules) & {SLOW!r}, file=sys.stderr)\n"
    )
    ran = python("-c", script, without=(), folder=tmp_path)
    assert "usage: infopace" in ran.stdout and ran.stderr == "set()\n"


def test_the_version_needs_none_of_them_and_a_command_says_what_it_needs(tmp_path: Path) -> None:
    script = "import infopace.cli as cli; print(cli.main(['--version']), cli.main(['report', 'x']))"
    ran = python("-c", script, without=ABSENT, folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, LINE.format("tyro"))
    assert ran.stdout.startswith("infopace ") and ran.stdout.endswith("\n0 2\n")


def test_the_command_names_the_extra_in_one_line(tmp_path: Path) -> None:
    ran = python("-m", "infopace", "train", without=("tyro",), folder=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", LINE.format("tyro"))


def test_what_only_some_workload_needs_is_named_when_it_is_missing(tmp_path: Path) -> None:
    """And what locks files on Unix is not needed."""
    arguments = ("-m", "infopace", "train", "digits", "--bounds", "workload")
    ran = python(*arguments, without=("sklearn", "fcntl"), folder=tmp_path)
    assert ran.returncode == 2 and ran.stderr.endswith(LINE.format("sklearn"))
    assert not (tmp_path / "runs").exists()


def test_every_package_of_the_extra_is_known_by_the_name_it_is_imported_by() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["lab"]
    imported = {"pillow": "PIL", "scikit-learn": "sklearn"}
    names = [Requirement(text).name for text in extra]
    assert sorted(OF_THE_EXTRA) == sorted(imported.get(name, name.replace("-", "_")) for name in names)
