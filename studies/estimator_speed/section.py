"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section, table


def text() -> str:
    """Seconds of one estimate beside the peers."""
    text = ""
    for target, kind in (("labels", "labels"), ("floats", "continuous targets")):
        found = [row for row in read("estimators_speed") if row["target"] == target]
        widths = list(dict.fromkeys(row["d"] for row in found))
        seconds = {(row["method"], row["d"]): row.get("seconds") for row in found}
        rows = []
        for method in dict.fromkeys(row["method"] for row in found):
            cells = []
            for width in widths:
                taken, own = seconds.get((method, width)), seconds.get(("ours", width))
                ratio = f" ({taken / own:.1f}x)" if taken and own else ""
                cells.append("not run" if taken is None else f"{taken:.3f}{ratio}")
            if any(cell != "not run" for cell in cells):
                rows.append([method, *cells])
        text += f"\n{kind}, seconds (and times ours):\n\n{table(['method', *(f'd = {w:,}' for w in widths)], rows)}\n"
    wide = section(
        "One estimate, n = 1000, two threads", "`python -m studies.estimator_speed.run`", text.strip()
    )
    return wide + _few_columns()


def _few_columns() -> str:
    """Seconds and memory in few columns, beside the packages made for these."""
    rows = read("estimators_speed_few")
    cells = list(dict.fromkeys((row["target"], row["n"], row["d"]) for row in rows))
    found = {(row["method"], row["target"], row["n"], row["d"]): row for row in rows}
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        line = [method]
        for cell in cells:
            row, own = found[method, *cell], found["ours", *cell]
            ratio = row["cpu_seconds"] / own["cpu_seconds"] if "seconds" in row else 0.0
            line.append(
                f"{row['cpu_seconds']:.4f} ({ratio:.1f}x), {row['call_mb']:.0f} MB" if ratio else "not run"
            )
        lines.append(line)
    head = [f"{target}, n = {n:,}, d = {d}" for target, n, d in cells]
    return section(
        "One estimate in few columns, one thread",
        "`python -m studies.estimator_speed.run --n 1000 5000 --widths 1 10 --threads 1`",
        "Seconds of processor, times ours without error bar, and memory that came during the call. Other jobs ran. "
        "Ours is `ross` or `ksg1`.\n\n" + table(["method", *head], lines),
    )
