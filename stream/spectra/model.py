"""Spectral models written as in XSPEC: "tbabs*powerlaw", "tbabs*(apec + gaussian)"."""

import ast
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from stream.errors import ConfigError
from stream.spectra.components import Apec, BBody, Bremss, Component, Gaussian, Parameter, PowerLaw, TBabs
from stream.spectra.grid import Floats, Grid
from stream.spectra.table import PlasmaTable, shipped_table

COMPONENTS: Final[dict[str, Callable[[], Component]]] = {
    "tbabs": TBabs,
    "powerlaw": PowerLaw,
    "bremss": Bremss,
    "bbody": BBody,
    "apec": lambda: Apec(shipped_table()),
    "gaussian": Gaussian,
}
NORM_UNITS: Final = {
    "powerlaw": "photons keV-1 cm-2 s-1 at 1 keV",
    "bremss": "3.02e-15/(4 pi D^2) int n_e n_I dV",
    "bbody": "L39/D10^2",
    "gaussian": "photons cm-2 s-1",
    "apec": "1e-14/(4 pi D^2) int n_e n_H dV",
}


Free = tuple[bool, ...]  # of each parameter


@dataclass(frozen=True, slots=True)
class Leaf:
    """A component and the places of its parameters in the model's."""

    component: Component
    places: slice  # an additive one's last is its norm

    @property
    def additive(self) -> bool:
        """Whether it is a term."""
        return self.component.additive

    def evaluate(self, grid: Grid, values: Floats, slopes: Floats | None, absorbed: bool, free: Free) -> Floats:
        """Return (n,); write the derivatives by its free parameters to the rows of slopes (p, n), if any."""
        own = values[self.places]
        if not (absorbed or self.additive):
            return np.ones(len(grid.low))
        value, by = self.component.shape(grid, own, free[self.places] if slopes is not None else ())
        norm = own[-1] if self.additive else 1.0
        if slopes is not None:
            for place, slope in enumerate(by, self.places.start):
                slopes[place] = norm * slope
            if self.additive:
                slopes[self.places.stop - 1] = value
        return norm * value


@dataclass(frozen=True, slots=True)
class Pair:
    """A sum or a product of two parts."""

    kind: Literal["+", "*"]
    left: "Leaf | Pair"
    right: "Leaf | Pair"

    @property
    def places(self) -> slice:
        """Of the parameters of both."""
        return slice(self.left.places.start, self.right.places.stop)

    @property
    def additive(self) -> bool:
        """Whether it is a term."""
        return self.left.additive or self.right.additive

    def evaluate(self, grid: Grid, values: Floats, slopes: Floats | None, absorbed: bool, free: Free) -> Floats:
        """As that of a leaf."""
        left = self.left.evaluate(grid, values, slopes, absorbed, free)
        right = self.right.evaluate(grid, values, slopes, absorbed, free)
        if self.kind == "+":
            return left + right
        if slopes is not None:
            slopes[self.left.places] *= right
            slopes[self.right.places] *= left
        return left * right


@dataclass(frozen=True, slots=True)
class Model:
    """A spectral model; all its parameters in the order of its text."""

    text: str
    root: Leaf | Pair
    parameters: tuple[Parameter, ...]
    plasma: PlasmaTable | None = None  # of apec, in place of the shipped one
    _kept: dict[str, tuple[bytes, Grid]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters."""
        return tuple(p.name for p in self.parameters)

    @property
    def defaults(self) -> Floats:
        """(p,) where a fit begins."""
        return np.array([p.value for p in self.parameters])

    @property
    def norms(self) -> tuple[int, ...]:
        """Places of the norms."""
        return tuple(i for i, p in enumerate(self.parameters) if p.name.endswith(".norm"))

    def photons(self, values: ArrayLike, energy_lo_kev: ArrayLike, energy_hi_kev: ArrayLike) -> Floats:
        """Return photons cm-2 s-1 (n,) in bins of energy (n,) for the values (p,) of all parameters."""
        low, high = np.asarray(energy_lo_kev, float), np.asarray(energy_hi_kev, float)
        key = low.tobytes() + high.tobytes()
        if "grid" not in self._kept or self._kept["grid"][0] != key:
            self._kept["grid"] = key, Grid.of(low, high)
        return self.on(self._kept["grid"][1], np.asarray(values, float))

    def on(self, grid: Grid, values: Floats, slopes: Floats | None = None, absorbed: bool = True) -> Floats:
        """Return photons (n,) on a grid; fill slopes (p, n) with the derivatives; without absorption if told so.

        Rows of frozen parameters may be left as they are.
        """
        if len(values) != len(self.parameters):
            raise ValueError(f"{self.text}: expected {len(self.parameters)} values, {', '.join(self.names)}")
        free = tuple(not p.frozen for p in self.parameters)
        return self.root.evaluate(grid, values, slopes, absorbed, free)

    def set(self, **changes: object) -> "Model":
        """Return the model with parameters changed: `set(**{"tbabs.nH": 0.1, "powerlaw.norm": {"frozen": True}})`."""
        unknown = sorted(set(changes) - set(self.names))
        if unknown:
            raise ConfigError(f"{self.text}: no parameter {unknown[0]}; expected one of {', '.join(self.names)}")
        return replace(self, parameters=tuple(_changed(p, changes.get(p.name, {})) for p in self.parameters), _kept={})


def _changed(parameter: Parameter, change: object) -> Parameter:
    fields = change if isinstance(change, dict) else {"value": float(change), "starts": ()}  # type: ignore[arg-type]
    return replace(parameter, **fields)


def parse_model(text: str, plasma: PlasmaTable | None = None) -> Model:
    """Return the model of an expression of components with + * ( ).

    A component that occurs again is named with _2 ("powerlaw_2.norm"). plasma: the table of apec in place of the
    shipped one. Raises ConfigError, one line.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise ConfigError(f"model {text!r}: expected components joined by + and *, as tbabs*powerlaw") from None
    builder = _Builder(text, plasma)
    root = builder.build(tree)
    if not root.additive:
        raise ConfigError(f"model {text!r}: expected at least one of {', '.join(NORM_UNITS)}")
    parameters = tuple(builder.parameters)
    if sum(p.name.endswith(".norm") for p in parameters) > 1:  # a term that the data do not need goes to zero
        parameters = tuple(replace(p, log=False) if p.name.endswith(".norm") else p for p in parameters)
    return Model(text, root, parameters, plasma)


class _Builder:
    """Builds the tree and numbers the parameters."""

    def __init__(self, text: str, plasma: PlasmaTable | None) -> None:
        self.text, self.plasma = text, plasma
        self.parameters: list[Parameter] = []
        self.seen: Counter[str] = Counter()

    def build(self, node: ast.expr) -> Leaf | Pair:
        match node:
            case ast.Name(id=name):
                return self.leaf(name.lower())
            case ast.BinOp(left=left, op=ast.Add() | ast.Mult() as op, right=right):
                kind: Literal["+", "*"] = "+" if isinstance(op, ast.Add) else "*"
                pair = Pair(kind, self.build(left), self.build(right))
                both = pair.left.additive and pair.right.additive
                if both if kind == "*" else not both:
                    what = "+ joins additive components" if kind == "+" else "* has one additive side at most"
                    raise ConfigError(f"model {self.text!r}: {what}")
                return pair
        raise ConfigError(f"model {self.text!r}: expected components joined by + and *, as tbabs*powerlaw")

    def leaf(self, name: str) -> Leaf:
        if name not in COMPONENTS:
            raise ConfigError(f"model {self.text!r}: no component {name!r}; expected one of {', '.join(COMPONENTS)}")
        self.seen[name] += 1
        table = self.plasma if name == "apec" else None
        component = COMPONENTS[name]() if table is None else Apec(table)
        first = len(self.parameters)
        own = list(component.parameters)
        if component.additive:
            own.append(Parameter("norm", NORM_UNITS[name], 1e-3, 0.0, 1e20, log=True))
        label = name if self.seen[name] == 1 else f"{name}_{self.seen[name]}"
        self.parameters += [replace(p, name=f"{label}.{p.name}") for p in own]
        return Leaf(component, slice(first, len(self.parameters)))
