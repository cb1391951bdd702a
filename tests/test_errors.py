"""Numbers for people: few digits, and no size loses itself."""

import math

import pytest

from dlx.errors import brief


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"), (1234.5678, "1235"), (1234567.89, "1234568"), (1e-9, "1e-09"), (0.0, "0"),
        (1e300, "1e+300"), (math.nan, "nan"), (math.inf, "inf"), (-1234567.89, "-1234568"), (12.0, "12"),
    ],
)  # fmt: skip
def test_four_significant_digits_and_no_power_of_ten_for_what_can_be_read(value, text):
    assert brief(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5000"), (1234567.89, "1234567.8900"), (0.0, "0.0000"), (0.001, "0.0010"), (0.00012, "0.00012"),
        (-0.00012, "-0.00012"), (math.nan, "nan"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_four_decimals_where_they_show_anything(value, text):
    assert brief(value, 4) == text
