"""The rivals by name: ways to train that read no information, each tuned over its own learning rates."""

from __future__ import annotations

from infopace.lab.rivals._adaptive import ADAPTIVE_RIVALS
from infopace.lab.rivals._averaged import AVERAGED_RIVALS
from infopace.lab.rivals._lars import LARS_RIVALS
from infopace.lab.rivals._rival import Rival as Rival
from infopace.lab.rivals._rival import Setting as Setting
from infopace.lab.rivals._self_tuned import SELF_TUNED_RIVALS
from infopace.lab.rivals._sgd import SGD_RIVALS

_FAMILIES = (SGD_RIVALS, ADAPTIVE_RIVALS, LARS_RIVALS, AVERAGED_RIVALS, SELF_TUNED_RIVALS)

RIVALS: dict[str, Rival] = {rival.name: rival for family in _FAMILIES for rival in family}
