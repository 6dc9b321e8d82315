"""Which form of landmark attention to run: its parameters as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from nysformer.errors import NysformerError
from nysformer.ops.pinv import MAX_PINV_ITERATIONS

__all__ = ["LANDMARK_KINDS", "MAX_LANDMARK_STEPS", "LandmarkKind", "NystromSpec"]

LandmarkKind = Literal["segments", "clusters"]
LANDMARK_KINDS: tuple[LandmarkKind, ...] = get_args(LandmarkKind)

# More than 3 steps were never measured to pay; the bound catches mistakes.
MAX_LANDMARK_STEPS = 16


@dataclass(frozen=True, kw_only=True)
class NystromSpec:
    """The parameters of landmark attention that go together, checked once.

    Attributes:
        num_landmarks: M per head, at least 1.
        landmarks: "segments" for the means of consecutive segments, the published choice; "clusters" for the centres
            of clusters of queries, and of keys, found by k-means steps from there.
        landmark_steps: those steps, 1 to 16; of no effect with "segments".
        scale: of the scores; None for 1 / sqrt(head width).
        pinv_iterations: steps of the inverse, 1 to 12, see `iterative_pinv`.
        per_head_start: where the inverse starts, see `iterative_pinv`.
        softmax_max_length: documents of at most this many tokens get softmax attention.

    Raises:
        NysformerError: a value out of range.

    Example:
        >>> spec = NystromSpec(num_landmarks=64, softmax_max_length=512)
        >>> spec.is_exact(512), spec.is_exact(513), spec.is_exact(513, 40)
        (True, False, True)
    """

    num_landmarks: int
    landmarks: LandmarkKind = "segments"
    landmark_steps: int = 2
    scale: float | None = None
    pinv_iterations: int = 6
    per_head_start: bool = False
    softmax_max_length: int = 0

    def __post_init__(self) -> None:
        if self.num_landmarks < 1:
            raise NysformerError(f"num_landmarks is {self.num_landmarks}: at least 1 is needed")
        if self.landmarks not in LANDMARK_KINDS:
            raise NysformerError(f"landmarks is {self.landmarks!r}: choose 'segments' or 'clusters'")
        if not 1 <= self.landmark_steps <= MAX_LANDMARK_STEPS:
            raise NysformerError(f"landmark_steps is {self.landmark_steps}: choose 1 to {MAX_LANDMARK_STEPS}")
        if not 1 <= self.pinv_iterations <= MAX_PINV_ITERATIONS:
            raise NysformerError(f"pinv_iterations is {self.pinv_iterations}: choose 1 to {MAX_PINV_ITERATIONS}")

    @property
    def exact_length(self) -> int:
        """Tokens up to which a document gets softmax attention: max(num_landmarks, softmax_max_length)."""
        return max(self.num_landmarks, self.softmax_max_length)

    def is_exact(self, queries: int, keys: int | None = None) -> bool:
        """Whether a document of that many queries and keys (None: as many) gets softmax attention itself."""
        return min(queries, queries if keys is None else keys) <= self.exact_length

    def scale_for(self, width: int) -> float:
        """The scale of the scores for heads of that width."""
        return width**-0.5 if self.scale is None else self.scale
