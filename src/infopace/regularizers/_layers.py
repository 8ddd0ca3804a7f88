"""The outputs of named layers, with their gradients, from the model's own forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from infopace._checks import positive, shown
from infopace._typing import Shaped
from infopace.model.forward import main_tensor
from infopace.model.layers import check_model, pick_layers, unknown_layer


class Layers:
    """Keeps what named layers of a model gave in its last forward pass, for terms of the loss.

    `layers[name]` is the output with its graph, so a term of it has gradients for the layers up to there. A layer that
    is called several times has the output of its last call. Leaving the `with` block, or `close()`, removes the hooks
    and the outputs; the model is then as before.

    Hooks reach a model that is compiled only if they are there before `torch.compile`.

    Args:
        model: Any torch module, also in DistributedDataParallel.
        names: A name as `model.named_modules()` has it, a pattern ("block.*"), or several.
        change: Applied to each output before the rest of the model gets it, while the layer is in training mode:
            `GaussianNoise(0.3)`, or the `sample` of a `VariationalBottleneck`. `layers[name]` is the output as it was
            before.

    Raises:
        TypeError: the model is no torch module, names are no names, or `change` is no function.
        ValueError: a name that matches no layer.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    >>> with Layers(model, "1") as layers:
    ...     scores = model(torch.ones(4, 3))
    ...     layers["1"].shape
    torch.Size([4, 5])
    >>> model(torch.ones(4, 3)) is not None and len(model[1]._forward_hooks)
    0
    """

    def __init__(
        self,
        model: nn.Module,
        names: str | Sequence[str],
        change: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        check_model(model)
        wanted = [names] if isinstance(names, str) else names
        if not isinstance(wanted, Sequence) or not all(isinstance(name, str) for name in wanted):
            raise TypeError(f"names must be a name or several, got {shown(names)}")
        if change is not None and not callable(change):
            raise TypeError(f"change must be a function of an output, got {shown(change)}")
        picked = pick_layers(model, wanted)
        if not picked:
            raise ValueError(f"names must name a layer, got {shown(names)}")
        self.names = tuple(picked)
        self._change = change
        # The version shows whether a module has changed the output in place since.
        self._outputs: dict[str, tuple[Tensor, int | None]] = {}
        self._handles = [
            module.register_forward_hook(self._hook(name, module), with_kwargs=True)
            for name, module in picked.items()
        ]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            raise KeyError(unknown_layer(name, self.names))
        if name not in self._outputs:
            raise RuntimeError(f"layer {name!r} has given no output yet: call the model first")
        output, version = self._outputs[name]
        if _version(output) != version:
            raise RuntimeError(
                f"layer {name!r} was changed in place after it ran: name the layer after it, or use inplace=False"
            )
        return output

    def __enter__(self) -> Layers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the hooks and the outputs. A second call changes nothing."""
        for handle in self._handles:
            handle.remove()
        self._outputs.clear()

    def _hook(self, name: str, own: nn.Module) -> Callable[..., Tensor | None]:
        def after_run(module: nn.Module, args: Any, kwargs: Any, result: Any) -> Tensor | None:
            output = main_tensor(result)
            if not isinstance(output, Tensor):
                raise TypeError(f"layer {name!r} must give a tensor, got {shown(result)}")
            if module is own:  # a copy of the model, such as an average of its weights, has the hook as well
                self._outputs[name] = output, _version(output)
            if self._change is None or not module.training:
                return None
            if output is not result:
                raise TypeError(
                    f"layer {name!r} must give one tensor to be changed, got {type(result).__name__}"
                )
            return self._change(output)

        return after_run


def root_mean_square(values: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, ""]:
    """sqrt < v^2 > over all entries; 1e-6 where that is less, so that nothing is divided by 0."""
    return values.square().mean().clamp_min(1e-12).sqrt()


class GaussianNoise(nn.Module):
    """Noise relative to a layer's outputs, passed on in training mode: T + s rms(T) N(0, 1).

    `rms` is over the batch. The information of T + s rms(T) N and of T / rms(T) + s N is the same. It is what makes
    I(X; T) finite in `MINE`, and its equal without the term is the control: noise alone regularises. In evaluation mode
    T passes as it is, as with dropout.

    Args:
        scale: s, above 0.

    Raises:
        ValueError: a scale that is not a positive number.

    >>> _ = torch.manual_seed(0)
    >>> noise = GaussianNoise(0.5)
    >>> round(float((noise(torch.full((1000,), 2.0))).std()), 1), float(noise.eval()(torch.ones(1)))
    (1.0, 1.0)
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = positive("noise", scale)

    def forward(self, outputs: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """The outputs, with noise of the same shape in training mode."""
        if not self.training:
            return outputs
        return outputs + self.scale * root_mean_square(outputs) * torch.randn_like(outputs)

    def extra_repr(self) -> str:
        """The settings, as the module prints them."""
        return f"scale={self.scale:g}"


def _version(output: Tensor) -> int | None:
    return None if output.is_inference() else output._version
