"""What `monitor_calibration` watches, and how."""

from dataclasses import dataclass

from stream.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Settings of the stage."""

    model: str = "crosscal"  # a shipped emulator, or an ONNX file
    window_s: float = 1e7  # the newest fits, that drift is looked for in
    reference_s: float = 0.0  # from the first fit on, what they are compared with; 0: all fits before the window
    kt_kev: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)  # where dT/T is told
    alarm_p: float = 1e-3  # chance of an alarm at each look if nothing drifts

    def check(self, kt_kev: tuple[float, float]) -> None:
        """Raise ConfigError for what cannot be; kt_kev: what the emulator knows."""
        if not (self.window_s > 0 and self.reference_s >= 0):
            raise ConfigError(f"window_s {self.window_s}, reference_s {self.reference_s}: expected > 0, >= 0")
        if not 0 < self.alarm_p < 1:
            raise ConfigError(f"alarm_p {self.alarm_p}: expected a chance between 0 and 1")
        low, high = kt_kev
        if not self.kt_kev or not all(low <= kt <= high for kt in self.kt_kev):
            raise ConfigError(f"kt_kev {self.kt_kev}: expected temperatures within {low:g} to {high:g} keV")
