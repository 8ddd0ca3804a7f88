"""Accuracy on tasks with known information, beside benchmark-mi's KSG and CCA; see README.md.

Reads the samples of make_samples.py, and passes only the numbers x and y to an estimator. Writes one row per task and
seed. Goes on where it was stopped, and prints the table.
"""

import argparse
import json
import pathlib
import statistics
import time

import numpy as np
import torch

import infopace

NORMS = ("euclidean", "chebyshev")
CLOSE = 0.05  # nats; the count "within 0.05" of the table


def measure(path: pathlib.Path, settings: bool) -> dict:
    sample = np.load(path)
    x, y = torch.from_numpy(sample["x"]), torch.from_numpy(sample["y"])
    start, cpu = time.perf_counter(), time.process_time()
    estimate = infopace.mutual_information(x, y, estimator="auto", std_error=False)
    row = {
        "suite": path.parent.name,
        "task": path.stem,
        "name": str(sample["name"]),
        "n": len(x),
        "truth": float(sample["truth"]),
        "auto": estimate.nats,
        "method": estimate.method,
        "choice": estimate.choice,
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
    }
    peer = path.with_suffix(".peer.npz")
    if peer.exists():
        values = np.load(peer)
        row |= {"cca": float(values["cca"])} | (beside_peer(x, y, values) if settings else peer_ksg(values))
    return row


def peer_ksg(peer: np.lib.npyio.NpzFile) -> dict:
    return {
        f"ksg_{norm}_{k}": float(value)
        for norm in NORMS
        for k, value in zip(peer["neighbours"], peer[f"ksg_{norm}"], strict=True)
    }


def beside_peer(x: torch.Tensor, y: torch.Tensor, peer: np.lib.npyio.NpzFile) -> dict:
    """Its KSG, and the largest gap to ours at the same norm, k and scaling."""
    row, gap = peer_ksg(peer), 0.0
    for norm in NORMS:
        for k in peer["neighbours"]:
            ours = infopace.mutual_information(
                x, y, k=int(k), norm=norm, estimator="ksg1", standardize="columns", std_error=False
            ).nats
            # The peer reports max(0, value).
            gap = max(gap, abs(max(0.0, ours) - row[f"ksg_{norm}_{k}"]))
    return row | {"ksg_gap": gap}


def table(rows: list[dict]) -> None:
    columns = ["auto", "ksg_euclidean_3", "cca"]
    print(f"{'task':58} {'truth':>7} {'auto':>7} {'KSG k3':>7} {'CCA':>7}   chosen")
    errors: dict[str, list[float]] = {column: [] for column in columns}
    for name in dict.fromkeys(row["name"] + "|" + row["task"].split("-")[0] for row in rows):
        seeds = [row for row in rows if row["name"] + "|" + row["task"].split("-")[0] == name]
        cells = ""
        for column in columns:
            values = [row[column] for row in seeds if column in row]
            cells += f" {statistics.fmean(values):7.3f}" if values else f" {'-':>7}"
            if values:
                errors[column].append(statistics.fmean(abs(value - seeds[0]["truth"]) for value in values))
        chosen = ", ".join(dict.fromkeys(row["method"] for row in seeds))
        print(f"{seeds[0]['name'][:58]:58} {seeds[0]['truth']:7.3f}{cells}   {chosen}")
    for column in columns:
        if errors[column]:
            close = sum(error <= CLOSE for error in errors[column])
            print(
                f"{column:16} mean absolute error {statistics.fmean(errors[column]):.3f} nats, "
                f"within {CLOSE}: {close} of {len(errors[column])}"
            )
    gaps = [row["ksg_gap"] for row in rows if "ksg_gap" in row]
    if gaps:
        print(f"largest |our KSG - its KSG| at equal settings: {max(gaps):.1e} over {len(gaps)} samples")
    seconds = [row["seconds"] for row in rows]
    print(f"seconds a call: median {statistics.median(seconds):.1f}, most {max(seconds):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=pathlib.Path, default=pathlib.Path("samples"))
    parser.add_argument("--suite", choices=["list", "outside"], default="list")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("results/bmi.jsonl"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--settings",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="our KSG at the peer's settings too, six estimates a sample",
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
    done = {(row["suite"], row["task"]) for row in rows}
    paths = sorted(p for p in (args.samples / args.suite).glob("*.npz") if not p.name.endswith(".peer.npz"))
    if not paths:
        parser.error(f"no samples in {args.samples / args.suite}; draw them with make_samples.py first")
    for path in paths:
        if (args.suite, path.stem) not in done:
            rows.append(measure(path, args.settings))
            with args.out.open("a") as stream:
                stream.write(json.dumps(rows[-1]) + "\n")
    table([row for row in rows if row["suite"] == args.suite])


if __name__ == "__main__":
    main()
