"""Shapes in signatures, through jaxtyping where it is installed.

The library itself needs only torch and numpy. Under pytest jaxtyping and beartype check every annotated
call; without jaxtyping the same names are inert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Num, Shaped
else:
    try:
        from jaxtyping import Bool, Float, Int, Num, Shaped
    except ImportError:

        class _Unchecked:
            def __class_getitem__(cls, item: object) -> Any:
                return Any

        Bool = Float = Int = Num = Shaped = _Unchecked

__all__ = ["Bool", "Float", "Int", "Num", "Shaped"]
