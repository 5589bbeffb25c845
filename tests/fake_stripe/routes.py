"""Which function answers which of Stripe's operations, and the parameters that it makes something of."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.fake_stripe.account import Account, Object
from tests.fake_stripe.faults import StripeFault

Handler = Callable[..., Object]


@dataclass(frozen=True)
class Route:
    """A handler and the parameters that it knows."""

    handler: Handler
    modelled: frozenset[str]

    def answer(self, account: Account, params: Object, variables: dict[str, str]) -> Object:
        """Let it answer; the path's values come in the order of the path."""
        strange = params.keys() - self.modelled
        if strange:
            raise StripeFault.not_modelled(f"{', '.join(sorted(strange))} in {self.handler.__name__}")
        return self.handler(account, params, *variables.values())


_routes: dict[tuple[str, str], Route] = {}


def answers(method: str, path: str, *modelled: str) -> Callable[[Handler], Handler]:
    """The function answers that operation: from the account, the checked parameters, and the path's values.

    `modelled` are the parameters that it knows, in words; others are answered with 501.
    """

    def register(handler: Handler) -> Handler:
        known = frozenset(name for names in modelled for name in names.split())
        _routes[method, path] = Route(handler, known)
        return handler

    return register


def find_route(method: str, path: str) -> Route | None:
    """None for what is not modelled."""
    return _routes.get((method, path))


def modelled() -> set[tuple[str, str]]:
    """Every operation that is, by method and path."""
    return set(_routes)


PAGE = "limit starting_after ending_before"
"""What every list takes."""
