"""The rivals by name: ways to train that read no information, each tuned over its own learning rates."""

from __future__ import annotations

from infopace.lab.rivals._rival import Rival as Rival
from infopace.lab.rivals._rival import Setting as Setting
from infopace.lab.rivals._sgd import SGD_RIVALS

RIVALS: dict[str, Rival] = {rival.name: rival for rival in SGD_RIVALS}
