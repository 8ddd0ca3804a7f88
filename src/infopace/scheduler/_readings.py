"""What can be read of a scheduler: what was measured, decided and rolled back so far."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infopace.pictures._figure import Figure
from infopace.policies import Bounds, Decision, HeldOut, Policy
from infopace.probe import Measurement
from infopace.scheduler._explain import Explanation
from infopace.scheduler._groups import ParameterGroups
from infopace.scheduler._pacer import Pacer
from infopace.scheduler._plot import Run, figure_of
from infopace.scheduler._searching import Searching
from infopace.scheduler._steps import OptimizerSteps


class Readings:
    """The readings of `MutualInformationLR`."""

    _pacer: Pacer
    _groups: ParameterGroups
    _search: Searching | None
    _steps: OptimizerSteps

    def explain(self) -> Explanation:
        """Why the learning rate moved: a line for each epoch and group in which it did, with the reason.

        The rate is named with which an epoch was trained, also where other code has set it, such as a warm-up. It is a
        text; a notebook and `rich.print` show it as a table.
        """
        ledger = self._pacer.ledger
        moves = [] if self._searching else ledger.moves(self._groups)
        return Explanation.of(self.found, moves, ledger.name)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the run so far: learning rates, information in nats, and the reasons of the largest moves.

        Dashed lines are information about held-out examples. Bands are one standard error to both sides, where it is
        known: of usable information always, of neighbour estimates with `Measuring(std_error=True)`. Grey times are
        those of trials, orange ones were rolled back. It may be called at any time.

        Args:
            path: A file to save the picture in; its name gives the format. None: it is not saved.

        Returns:
            A figure of matplotlib which pyplot does not know. A notebook shows it where it is the last value of a cell.

        Raises:
            ImportError: matplotlib is not installed.
        """
        running, rates = None, self._steps.rates()
        if self._pacer.unit.steps and not self.finding:  # otherwise a trial runs
            running = self._pacer.unit.steps, self._steps.first or rates, rates
        state = self.found, self._searching, self.finished, running
        figure = figure_of(Run(self._pacer.ledger, self._groups, *state))
        if path is not None:
            figure.savefig(path, dpi=140)
        return figure

    @property
    def policy(self) -> Policy:
        """The rule."""
        return self._pacer.ledger.policy

    @property
    def bounds(self) -> Bounds | Mapping[str, Bounds]:
        """The range of the learning rate, as it was given or found; or that of each driving layer."""
        return self._pacer.ledger.bounds

    @property
    def reference(self) -> float | None:
        """I(X;Y) in nats; None: the policy does not read it."""
        return self._pacer.ledger.reference

    @property
    def measurement(self) -> Measurement | None:
        """The latest measurement; None just after loading a state."""
        return self._pacer.measurement

    @property
    def unit(self) -> int | None:
        """Optimizer steps in a unit of time; None: units are epochs."""
        return self._pacer.cadence.unit

    @property
    def every(self) -> int | None:
        """Optimizer steps between two measurements; None: not chosen yet, or observed by the caller."""
        return self._pacer.cadence.every

    @property
    def history(self) -> dict[str, list[float]]:
        """Per layer, information in nats after 0, 1, 2, .. epochs or units, without those that were rolled back."""
        return self._pacer.ledger.history

    @property
    def rolled_back(self) -> list[int]:
        """The epochs or units, from 1, that were rolled back."""
        return self._pacer.ledger.rolled_back

    @property
    def finding(self) -> bool:
        """Whether the run still searches for its learning rate."""
        return self._search is not None and self._search.running

    @property
    def _searching(self) -> bool:
        """Whether no rate is found yet; looks for a higher one come later."""
        return self._search is not None and self.finding and not self._search.finding.looked

    @property
    def found(self) -> list[str]:
        """What the search for the rate and each look since have found; empty where bounds were given."""
        return [] if self._search is None else self._search.finding.explain().splitlines()

    @property
    def driving_layers(self) -> list[str]:
        """Per parameter group, the layer whose information drives it."""
        return self._groups.layers

    @property
    def decisions(self) -> list[list[Decision]]:
        """Per epoch or unit from the first to the next, rolled back or not, the decision of each parameter group.

        Its lr is the group's own; a group whose layer drove none yet has one of lr 0.
        """
        return self._pacer.ledger.table(self._groups)

    @property
    def held_out_history(self) -> dict[str, list[float]]:
        """The same as `history` of the held-out examples, for as long as they were measured; empty without any."""
        return self._pacer.ledger.held_out.history

    @property
    def held_out_examples(self) -> dict[str, HeldOut]:
        """Per driving layer, what each held-out example contributed to that, as far as the policy still reads it."""
        return self._pacer.ledger.held_out.examples

    @property
    def holds_out(self) -> bool:
        """Whether examples are still to be kept out of training.

        Until every group of the first has left its hold, and longer where its decay is watched for overfitting.
        """
        return self._pacer.holds_out

    @property
    def finished(self) -> bool:
        """Whether the policy says of every parameter group that the run is over."""
        return self._pacer.finished
