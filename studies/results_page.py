"""Write docs/results.md from the rows in results/: python -m studies.results_page"""

from __future__ import annotations

from importlib import import_module

from studies.scoreboard.section import update_pages
from studies.shared.page import ROOT
from studies.tuned_cosine.comparisons import comparisons

HEAD = """# Results

After this page you know every number that the project has measured, and the command that made it.

Every number on this page comes from the rows in `results/`, by `python -m studies.results_page`. Each section names the
command that made its rows. All runs were on CPUs. What needs a GPU was not run.
"""
# The studies in the order of the page, after the comparisons; each has a section.py.
ORDER = (
    "tuned_cosine",
    "scoreboard",
    "rate_in_the_run",
    "literature_networks",
    "monolith",
    "fine_tuning",
    "what_drives",
    "constants_in_the_run",
    "fair_tuning",
    "kinds_and_optimizers",
    "held_out_constants",
    "longer_decay",
    "change_in_mid_run",
    "driving_signal",
    "usable_information",
    "cadence",
    "cadence_auto",
    "rule_constants",
    "probe_size",
    "reference_ends_hold",
    "layer_signal",
    "layer_wise",
    "short_plans",
    "few_steps",
    "layer_holds",
    "veca",
    "when_to_stop",
    "bounds_too_high",
    "held_rate_and_decay_shape",
    "goldilocks",
    "gradient_noise",
    "momentum_decay",
    "paper_recipes",
    "range_test_repeatability",
    "range_test_layers",
    "kill_and_resume",
    "processes",
    "measuring_cost",
    "loop_speed",
    "adapter_cost",
    "import_time",
    "jonsson",
    "edm",
    "regularizer_gallery",
    "regularizer_cost",
    "sample_size",
    "label_traps",
    "sparse_tables",
    "known_answers",
    "benchmark_mi",
    "rank_resolution",
    "interval_coverage",
    "estimator_speed",
    "estimator_scaling",
    "neighbour_trees",
)


def page() -> str:
    """The text of docs/results.md."""
    sections = [import_module(f"studies.{study}.section").text() for study in ORDER]
    return "\n".join([HEAD, comparisons(), *sections])


def main() -> None:
    """Write the page, and the tables of the scoreboard on other pages."""
    (ROOT / "docs" / "results.md").write_text(page())
    update_pages()


if __name__ == "__main__":
    main()
