"""How photos are blurred. Nothing here imports torch, numpy or cv2."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gantools.config.options import Options, setting

Pixels = Annotated[float, Field(gt=0, le=200)]
Sigma = Annotated[float, Field(ge=0, le=255)]
FromTo = tuple[Pixels, Pixels]


class BlurOptions(Options):
    """How a sharp photo is blurred: one kernel drawn per sample, then noise. A weight is a kind's share."""

    motion_weight: float = setting(1.0, "share of camera shake: a random trajectory (Boracchi and Foi 2012)", ge=0)
    defocus_weight: float = setting(0.0, "share of defocus: a disk", ge=0, source=1.0)
    gaussian_weight: float = setting(0.0, "share of gaussian blur", ge=0, source=1.0)
    measured_weight: float = setting(0.0, "share of kernels out of kernel_files", ge=0)
    pan_weight: float = setting(0.0, "share of a moving camera's blur: a bent line, as in a frame of a video", ge=0)
    motion_px: FromTo = setting((8.0, 32.0), "longer side of the box around a trajectory or bent line, from - to")
    trajectory_steps: int = setting(2000, "points of a trajectory", paper=2000, ge=2, le=20000)
    defocus_px: FromTo = setting((1.5, 5.0), "radius of the disk, from - to")
    gaussian_px: FromTo = setting((0.8, 3.0), "standard deviation of the gaussian, from - to")
    kernel_files: tuple[str, ...] = setting(
        (), "measured kernels: .npy (h × w, or n × h × w) or .mat files", local=True
    )
    noise_sigma: tuple[Sigma, Sigma] = setting(
        (0.0, 0.0), "standard deviation of gaussian noise in steps of 8 bits, from - to; on blurred samples only"
    )
    sharp_share: float = setting(
        0.0, "share of training samples that stay as they are, so that sharp photos pass unchanged", ge=0, lt=1
    )

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each kind, in the order that draws depend on."""
        return {
            "motion": self.motion_weight,
            "defocus": self.defocus_weight,
            "gaussian": self.gaussian_weight,
            "measured": self.measured_weight,
            "pan": self.pan_weight,
        }

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in ("motion_px", "defocus_px", "gaussian_px", "noise_sigma"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: {low:g} must not exceed {high:g}")
        if not any(self.weights.values()):
            raise ValueError(
                "one of motion_weight, defocus_weight, gaussian_weight, measured_weight and pan_weight must be above 0"
            )
        if self.measured_weight and not self.kernel_files:
            raise ValueError("kernel_files: measured_weight needs at least one file of kernels")
        return self
