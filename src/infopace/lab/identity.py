"""What a cached result depends on besides the command line: it is not mixed with results of other data or code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infopace.lab.workload import Data, Workload
from infopace.lab.workloads._code import code_of

_RECIPE = ("batch_size", "momentum", "nesterov", "weight_decay", "probe_size", "reference")


def identity_of(workload: Workload, data: Data) -> dict[str, Any]:
    """Digests of the data and of the code (model, loss, metric, preparation), and the recipe's numbers."""
    module = getattr(workload.build_model, "__module__", "")
    recipe = {name: getattr(workload, name) for name in _RECIPE}
    return {"data": data.digest(), "code": workload.code or code_of(workload, module), **recipe}


def differing(asked: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """The fields that differ, for people: 'seed is 0 there and 1 here'; empty where none does."""
    here = json.loads(json.dumps(asked))  # as JSON gives them back: lists for tuples
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    return ", ".join(f"{name} is {there.get(name)!r} there and {here.get(name)!r} here" for name in names)
