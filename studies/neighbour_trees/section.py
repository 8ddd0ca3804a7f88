"""The section of the results page."""

from __future__ import annotations

from studies.shared.page import read, section, table


def text() -> str:
    """Neighbour trees: seconds."""
    rows = []
    kinds = {"ross": "labels (ross)", "ksg1": "targets (ksg1)"}
    for row in sorted(read("estimators_tree"), key=lambda row: (row["n"], row["width"], row["estimator"])):
        tree, block = row["tree"], row.get("blocked")
        call = "the value"
        if row.get("whole_call"):
            call = f"`mutual_information`, {'with' if row['std_error'] else 'without'} error bar"
        rows.append(
            [
                f"{row['n']:,}",
                row["width"],
                kinds[row["estimator"]],
                row["norm"],
                row["search"],
                call,
                f"{tree['seconds']:.1f}",
                f"{tree['processor_seconds']:.1f}",
                f"{block['processor_seconds']:.1f}" if block else "",
                {True: "yes", False: "no", None: ""}[row.get("equal")],
                f"{row['load']:.0f}",
            ]
        )
    head = ["examples", "columns", "estimator", "norm", "tree by", "measured", "seconds", "processor seconds"]
    head += ["blocks: processor seconds", "equal to the bit", "load of the two cores"]
    return section(
        "Neighbour trees: many examples, few columns",
        "`python -m studies.neighbour_trees.run`",
        "A load above 2 means that the cores were shared with other work. There only the processor seconds mean "
        "much.\n\n"
        f"{table(head, rows)}",
    )
