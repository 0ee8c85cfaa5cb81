"""Functions of CESQL, section 3.5: a name, parameters, a type of the result; and sets of them,
whose members can be told from each other by name and number of arguments."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from event_gateway.core.cesql.casts import Type, Value
from event_gateway.core.cesql.errors import ErrorType
from event_gateway.core.cesql.nodes import KEYWORDS


class FunctionFailed(Exception):
    """What a function raises to give an error beside its value.

    ``value`` is of the function's type; by default the zero value of that type.
    """

    def __init__(
        self,
        message: str,
        value: Value | None = None,
        type: ErrorType = ErrorType.FUNCTION_EVALUATION,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.value = value
        self.type = type


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function.

    ``parameters`` are the types of the fixed parameters; with ``rest``, any number of further
    arguments of that type may follow. ``body`` gets values of these types and returns one of the
    type ``result``. It must not change anything, and may raise :class:`FunctionFailed`. Whatever
    else it raises, and a value of another type, is a FunctionEvaluationError with the zero value.
    """

    name: str
    parameters: tuple[Type, ...]
    result: Type
    body: Callable[..., Value]
    rest: Type | None = None

    def __post_init__(self) -> None:
        letters = self.name.replace("_", "")
        if not (letters.isascii() and letters.isalpha()) or self.name[0] == "_":
            raise ValueError(f"{self.name!r} is not the name of a function: letters and _")
        if self.name.upper() in KEYWORDS:
            raise ValueError(f"{self.name} is a keyword")
        if self.result is Type.ANY:
            raise ValueError(f"{self.name} needs a String, an Integer or a Boolean as its result")

    @property
    def signature(self) -> str:
        """As the specification writes it: ``LEFT(String, Integer) -> String``."""
        rest = () if self.rest is None else (f"{self.rest}…",)
        return f"{self.name.upper()}({', '.join((*self.parameters, *rest))}) -> {self.result}"


class Functions:
    """A set of functions. Raises ValueError where section 3.5 does not allow two of them
    together."""

    __slots__ = ("_fixed", "_variadic")

    def __init__(self, functions: Iterable[Function]) -> None:
        self._fixed: dict[tuple[str, int], Function] = {}
        self._variadic: dict[str, Function] = {}
        for function in functions:
            name, arity = function.name.upper(), len(function.parameters)
            if function.rest is None:
                if self._fixed.setdefault((name, arity), function) != function:
                    raise ValueError(f"{name} is defined twice for {arity} arguments")
            elif self._variadic.setdefault(name, function) != function:
                raise ValueError(f"{name} is defined twice for any number of arguments")
        for (name, arity), function in self._fixed.items():
            variadic = self._variadic.get(name)
            if variadic is not None and len(variadic.parameters) <= arity:
                raise ValueError(
                    f"{variadic.signature} cannot be told from {function.signature}: it needs more "
                    f"than {arity} fixed parameters"
                )

    def __iter__(self) -> Iterator[Function]:
        yield from self._fixed.values()
        yield from self._variadic.values()

    def __contains__(self, name: str) -> bool:
        """Whether there is a function of a name, in any case, with whatever arguments."""
        return name.upper() in self.names

    @property
    def names(self) -> list[str]:
        """The names, in upper case and sorted."""
        return sorted({function.name.upper() for function in self})

    def find(self, name: str, arity: int) -> Function | None:
        """The function for a call; None if there is none."""
        function = self._fixed.get((name.upper(), arity))
        if function is None:
            function = self._variadic.get(name.upper())
            if function is not None and len(function.parameters) > arity:
                return None
        return function

    def with_functions(self, *functions: Function) -> "Functions":
        """These and others. Raises ValueError."""
        return Functions((*self, *functions))
