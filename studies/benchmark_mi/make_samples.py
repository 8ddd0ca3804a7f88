# pyright: reportMissingImports=false
"""Draw the samples and the peer's own values, in the peer's own environment; see README.md.

Two files per task and seed: NN-S.npz with x, y (float64) and the true information (nats), and NN-S.peer.npz with
benchmark-mi's KSG at k = 3, 5, 10 and its CCA on these numbers. Goes on where it was stopped. The names are only
for the table: run.py does not pass them to an estimator.
"""

import argparse
import pathlib
import time

import bmi
import numpy as np
from bmi.estimators import CCAMutualInformationEstimator, KSGEnsembleFirstEstimator

from studies.benchmark_mi.outside_tasks import outside_tasks

NEIGHBOURS = (3, 5, 10)


def peer_ksg(x: np.ndarray, y: np.ndarray, metric: str) -> np.ndarray:
    estimator = KSGEnsembleFirstEstimator(
        neighborhoods=NEIGHBOURS, standardize=True, metric_x=metric, chunk_size=200
    )
    estimator.fit(x, y)
    return np.array([estimator.get_predictions()[k] for k in NEIGHBOURS])


def save(path: pathlib.Path, **values) -> None:
    """Write under another name, then rename, so that every file is whole."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(stream, **values)
    partial.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("samples"))
    parser.add_argument("--suite", choices=["list", "outside"], default="list")
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--peer", action=argparse.BooleanOptionalAction, default=True, help="the peer's own values too"
    )
    args = parser.parse_args()
    tasks = list(bmi.benchmark.BENCHMARK_TASKS.values()) if args.suite == "list" else outside_tasks()
    folder = args.out / args.suite
    folder.mkdir(parents=True, exist_ok=True)
    for index, task in enumerate(tasks):
        for seed in range(args.seeds):
            path = folder / f"{index:02d}-{seed}.npz"
            if not path.exists():
                x, y = (np.asarray(block, dtype=np.float64) for block in task.sample(args.n, seed))
                labels = {"truth": float(task.mutual_information), "name": task.name, "id": task.id}
                save(path, x=x, y=y, **labels)
            peer = folder / f"{index:02d}-{seed}.peer.npz"
            if args.peer and not peer.exists():
                start = time.perf_counter()
                sample = np.load(path)
                x, y = sample["x"], sample["y"]
                save(
                    peer,
                    neighbours=np.array(NEIGHBOURS),
                    ksg_euclidean=peer_ksg(x, y, "euclidean"),
                    ksg_chebyshev=peer_ksg(x, y, "chebyshev"),
                    cca=float(CCAMutualInformationEstimator().estimate(x, y)),
                )
                print(f"{peer.name} {task.name}: {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
