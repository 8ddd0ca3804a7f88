"""What can be read of a scheduler: what was measured, decided and rolled back so far."""

from __future__ import annotations

from collections.abc import Mapping

from infopace.policies import Bounds, Decision, HeldOut, Policy
from infopace.probe import Measurement
from infopace.scheduler._groups import ParameterGroups
from infopace.scheduler._pacer import Pacer


class Readings:
    """The readings of `MutualInformationLR`."""

    _pacer: Pacer
    _groups: ParameterGroups

    @property
    def policy(self) -> Policy:
        """The rule."""
        return self._pacer.ledger.policy

    @property
    def bounds(self) -> Bounds | Mapping[str, Bounds]:
        """The range of the learning rate as it was given, or that of each driving layer."""
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
