"""Types that know more of their values than pydantic does, as a plugin may write them."""

from typing import Annotated

import pytest

from dlx.errors import Fault, Marker
from dlx.registry.signatures import check, describe, markers, signature


class Even(Marker):
    def check(self, value, path):
        return value // 2, [Fault(path, f"wants an even number, not {value}")] if value % 2 else []

    def describe(self):
        return "even number"


class Silent(Marker):
    """Says nothing of its own."""


EVEN = Even()


def halved(*, size: Annotated[int, EVEN] | None = None, rate: Annotated[float, Silent()] = 0.5) -> None: ...


def test_a_marker_changes_and_refuses_values():
    wanted = signature(halved)
    assert check(wanted, {"size": 8}) == ({"size": 4, "rate": 0.5}, [])
    _, (fault,) = check(wanted, {"size": 7}, ("model",))
    assert (fault.path, fault.message) == (("model", "size"), "wants an even number, not 7")


def test_null_beside_a_marker_is_left_alone():
    assert check(signature(halved), {"size": None}) == ({"size": None, "rate": 0.5}, [])


@pytest.mark.parametrize(("name", "told"), [("size", "even number or null"), ("rate", "number")])
def test_a_marker_says_what_is_wanted_or_leaves_it_to_the_type(name, told):
    assert describe(signature(halved).choices[name].annotation) == told


def test_what_is_no_marker_is_passed_over():
    assert markers(Annotated[int, "metres", EVEN]) == [EVEN]
    assert markers(int) == []
