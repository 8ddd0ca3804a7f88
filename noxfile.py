"""Which versions work: `make versions`. Each session has an environment of its own; docs/versions.md has the results.

A combination is skipped where this machine lacks the Python, or where its torch comes with the libraries of a GPU,
which are gigabytes. `make versions ARGS="-- gpu"` downloads those too. A pip index of torch without them is used where
pip is configured for it.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import nox
from packaging.requirements import Requirement

PYTHONS = ("3.11", "3.12", "3.13")
TORCHES = ("2.9.0", "2.11.0", "2.13.0")
CORE = ("tests/estimators", "tests/policies", "tests/probe", "tests/scheduler")
ADAPTERS = ("tests/integrations", "tests/model", "tests/range_test")
OF_A_GPU = ("cuda", "nvidia", "triton")
PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]

nox.options.sessions = ["plain", "newest", "lowest"]
nox.options.default_venv_backend = "virtualenv"  # its pip is configured as pip is on this machine
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
@nox.parametrize("torch", TORCHES)
def newest(session: nox.Session, torch: str) -> None:
    """The core tests with the newest version of everything else."""
    install_torch(session, torch)
    session.install(".[test]", f"torch=={torch}")
    run_tests(session, *CORE)


@nox.session(python=PYTHONS[0])
@nox.parametrize("torch", TORCHES)
def lowest(session: nox.Session, torch: str) -> None:
    """The core tests, and those of the adapters, with the lowest versions that pyproject.toml admits."""
    install_torch(session, torch)
    session.install(*lower_bounds(), f"torch=={torch}")
    session.install("--no-deps", ".")
    # An old package beside a new one warns that something is deprecated, which concerns neither users nor us. One test
    # names layers of architectures as the newest transformers has them.
    newest_only = "tests/scheduler/test_architectures.py::test_layers_of_an_architecture"
    run_tests(session, *CORE, *ADAPTERS, "-W", "ignore::DeprecationWarning", "--deselect", newest_only)


@nox.session(python=PYTHONS)
@nox.parametrize("torch", TORCHES)
def plain(session: nox.Session, torch: str) -> None:
    """The wheel with torch and numpy only: import, the command's one line, a short run."""
    install_torch(session, torch)
    session.install(".", f"torch=={torch}")
    folder = session.create_tmp()
    script = str(Path("examples/plain_loop.py").resolve())
    with session.chdir(folder):
        session.run("python", "-W", "error", "-c", "import infopace; print(infopace.__all__)")
        session.run("infopace", "--version")
        session.run("infopace", "--help", success_codes=[2])
        session.run("python", script)


def install_torch(session: nox.Session, version: str) -> None:
    """Install torch of this version first, so that nothing else asks for a newer one."""
    report = Path(session.create_tmp(), "torch.json").resolve()
    report.unlink(missing_ok=True)
    look = (
        "pip",
        "install",
        "--dry-run",
        "--no-deps",
        "--ignore-installed",
        "--quiet",
        "--report",
        str(report),
    )
    session.run_install("python", "-m", *look, f"torch=={version}", silent=True, success_codes=range(256))
    if not report.exists():
        session.skip(f"there is no torch {version} for this Python and machine")
    metadata = json.loads(report.read_text())["install"][0]["metadata"]
    needs = [Requirement(text) for text in metadata.get("requires_dist", ())]
    for_a_gpu = [
        need.name
        for need in needs
        if need.name.startswith(OF_A_GPU) and (need.marker is None or need.marker.evaluate({"extra": ""}))
    ]
    if for_a_gpu and "gpu" not in session.posargs:
        session.skip(f"torch {version} comes with {for_a_gpu[0]} and others here; `-- gpu` downloads them")
    session.install(f"torch=={version}")


def lower_bounds() -> list[str]:
    """Every requirement of the tests at its lower bound, torch excepted."""
    extras = PROJECT["optional-dependencies"]
    texts = list(PROJECT["dependencies"])
    for text in extras["test"]:
        need = Requirement(text)
        texts += (
            [inner for extra in need.extras for inner in extras[extra]] if need.name == "infopace" else [text]
        )
    return sorted({text.replace(">=", "==") for text in texts if not text.startswith("torch>")})


def run_tests(session: nox.Session, *arguments: str) -> None:
    """Run tests against what is installed, in one process."""
    session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
