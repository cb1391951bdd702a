import numpy as np
import pytest
import torch

from dlx import registry
from dlx.errors import UsageError
from dlx.testing.common import build

DAYS = [str(np.datetime64("2024-01-01") + n) for n in range(40)]


def source(file, processor=None, wanted_splits=None, **choices):
    asked = {"path": str(file), "look_back": 5, "horizon": 2, "val": 8, "test": 10, **choices}
    return build(registry.sources, "series_csv", asked, {"seed": 3, "processor": processor, "wanted_splits": wanted_splits})


def write(folder, lines, header="day,y,x"):
    (folder / "s.csv").write_text("\n".join([header, *lines]))
    return folder / "s.csv"


def rows(count=40):
    return [f"{DAYS[n]},{n * n % 17},{n}" for n in range(count)]


def test_windows_are_the_rows_of_the_file_scaled_by_the_training_part(tmp_path):
    made = source(write(tmp_path, rows()))
    whole = np.array([[n * n % 17, n] for n in range(40)], float)
    mean, std = whole[:22].mean(0), whole[:22].std(0)
    scaled = ((whole - mean) / std).astype(np.float32)
    assert made.facts["target_mean"] == pytest.approx(mean.tolist())
    borders = {"train": (0, 22), "val": (22, 30), "test": (30, 40)}
    for split, (begin, end) in borders.items():
        batches = list(made.evaluate(None, split))
        inputs, targets = (torch.cat([b[word] for b in batches]).numpy() for word in ("input", "target"))
        first = max(begin - 5, 0)
        wanted = range(first, end - 6)
        assert len(inputs) == len(wanted)
        for row, start in enumerate(wanted):
            assert np.array_equal(inputs[row], scaled[start : start + 5])
            assert np.array_equal(targets[row], scaled[start + 5 : start + 7])
    assert made.facts["seasonal_error"] == pytest.approx(np.abs(whole[1:22] - whole[:21]).mean(0).tolist())
    assert made.processor.spans == [
        "train  2024-01-01 to 2024-01-22: 22 rows, 16 windows",
        "val    2024-01-23 to 2024-01-30: 8 rows, 7 windows",
        "test   2024-01-31 to 2024-02-09: 10 rows, 9 windows",
    ]


def test_an_epoch_has_every_window_once_and_another_order_each_time(tmp_path):
    made = source(write(tmp_path, rows()), batch_size=5)
    first, second = ([row for b in made.train(None) for row in b["index"].tolist()] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(16))
    assert first != second


def test_no_window_holds_memory_of_its_own(tmp_path):
    made = source(write(tmp_path, rows()))
    longer = source(write(tmp_path, rows()), look_back=12)
    for one in (made, longer):
        assert one.past.untyped_storage().data_ptr() == one.ahead.untyped_storage().data_ptr()
        assert one.past.untyped_storage().nbytes() == 40 * 2 * 4


@pytest.mark.parametrize(
    ("change", "val", "test"),
    [
        ({"val": 0.2, "test": 0.25}, 22, 30),
        ({"val": "2024-01-20", "test": "2024-02-01"}, 19, 31),
        ({"train": 15, "val": 9, "test": 8}, 15, 24),
    ],
)
def test_splits_are_shares_counts_or_dates(tmp_path, change, val, test):
    made = source(write(tmp_path, rows()), **change)
    values = {split: torch.cat([b["target"] for b in made.evaluate(None, split)]) for split in ("val", "test")}
    scale = lambda n: (n - made.facts["target_mean"][1]) / made.facts["target_std"][1]  # noqa: E731
    assert float(values["val"][0, 0, 1]) == pytest.approx(scale(val), abs=1e-5)
    assert float(values["test"][0, 0, 1]) == pytest.approx(scale(test), abs=1e-5)


def test_a_long_file_has_windows_of_each_series_alone(tmp_path):
    lines = [f"{DAYS[n]},{name},{base + n}" for n in range(40) for name, base in (("b", 1000), ("a", 0))]
    made = source(write(tmp_path, lines, "day,shop,y"), series_id="shop", scaling="none")
    batches = list(made.evaluate(None, "train"))
    inputs, targets = (torch.cat([b[word] for b in batches])[..., 0] for word in ("input", "target"))
    whole = torch.cat((inputs, targets), 1)
    assert len(whole) == 2 * 16
    assert (whole.diff(dim=1) == 1).all()
    assert whole[0, 0] == 0
    assert whole[16, 0] == 1000


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([*rows(20), *rows(20)[-1:], *rows()[20:]], r"s\.csv:22: 2024-01-20 stands twice"),
        ([*rows(20), *rows()[21:]], r"s\.csv:22: 1 row missing before 2024-01-22 at a step of 1d; set `gaps: previous`"),
        ([*rows(20), rows()[21], rows()[20], *rows()[22:]], r"s\.csv:23: 2024-01-21 is out of order"),
        ([*rows(20), f"{DAYS[20]},,3", *rows()[21:]], r"s\.csv:22: 'y' has no value; set `gaps: previous`"),
        ([*rows(20), f"{DAYS[20]},many,3", *rows()[21:]], r"s\.csv:22: 'many' in 'y' is no number"),
        ([*rows(20), f"{DAYS[20]} 06:00,1,3", *rows()[21:]], r"s\.csv:22: 2024-01-21 06:00 is no whole number of steps"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path, lines, told):
    with pytest.raises(UsageError, match=told):
        source(write(tmp_path, lines))


def test_gaps_are_filled_by_the_row_before_when_asked(tmp_path):
    lines = [*rows(20), f"{DAYS[20]},,3", *rows()[23:]]
    made = source(write(tmp_path, lines), gaps="previous", scaling="none")
    values = made.past[:, 0].tolist()
    assert values[19:24] == [19 * 19 % 17] * 4 + [23 * 23 % 17]
    assert made.processor.spans[-1] == "3 rows with gaps, filled with the values before"


def test_a_file_backwards_is_read_forwards(tmp_path):
    forwards, backwards = source(write(tmp_path, rows())), source(write(tmp_path, rows()[::-1]))
    assert torch.equal(forwards.past, backwards.past)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"targets": ["y"], "known": ["y"]}, "'y' is in `targets` already; what is forecast is not known ahead"),
        ({"targets": ["z"]}, "'z': unknown column"),
        ({"time": "when"}, "'when': unknown column"),
        ({"season": 6}, "a season of 6 rows reaches further back than look_back"),
        ({"val": 1}, "the val part has 1 rows, and a window wants 2"),
        ({"look_back": 21}, "the train part has 22 rows, and a window wants 23"),
        ({"val": 30}, "nothing is left to train on, or they overlap"),
        ({"timezone": "Mars"}, "'Mars' is no time zone"),
        ({"step": "2 weeks"}, "is no step from row to row"),
        ({"train": 30}, "are more than the 40 there are"),
        ({"train": 10, "val": 0.5}, "is a count of rows where `train` is one"),
    ],
)
def test_wishes_that_cannot_be_met_are_told(tmp_path, change, told):
    with pytest.raises(UsageError, match=told):
        source(write(tmp_path, rows()), **change)


def test_the_future_never_reaches_what_is_read(tmp_path):
    """Change every value behind a window's past: what it reads, scales and all, stays as it was."""
    changed = [*rows(30), *(f"{DAYS[n]},{900 + n},{-n}" for n in range(30, 40))]
    one, other = source(write(tmp_path, rows())), source(write(tmp_path, changed))
    assert torch.equal(next(iter(one.evaluate(None, "test")))["input"][0], next(iter(other.evaluate(None, "test")))["input"][0])
    assert one.facts == other.facts


def test_predicting_goes_on_behind_the_end_and_wants_what_is_known_ahead(tmp_path):
    file = write(tmp_path, rows())
    made = source(file, targets=["y"], known=["x"])
    with pytest.raises(UsageError, match="a forecast of 2 steps wants 'x' ahead; add 2 more rows at the end"):
        list(made.processor.read([str(file)]))
    ahead = write(tmp_path, [*rows(), "2024-02-10,,7", "2024-02-11,,9"])
    batch = made.processor.encode(list(made.processor.read([str(ahead)])))
    scale = lambda n: (n - made.processor.scales.known_mean[0]) / made.processor.scales.known_std[0]  # noqa: E731
    assert batch["known"][0, :, 0].tolist() == pytest.approx([scale(n) for n in (35, 36, 37, 38, 39, 7, 9)])
    answers = made.processor.decode({"value": torch.tensor([[[1.5], [2.5]]])})
    assert answers == [{"day": "2024-02-10", "y": 1.5}, {"day": "2024-02-11", "y": 2.5}]
    assert torch.equal(source(ahead, targets=["y"], known=["x"]).past, made.past)  # rows ahead are nothing to train on


def test_comments_above_the_header_are_left_out_when_asked(tmp_path):
    (tmp_path / "s.csv").write_text("\n".join(["# from a station, in degrees", "", "# 2024", "day,y,x", *rows()]))
    with pytest.raises(UsageError, match=r"begins with '#'; if it is a comment above the header, set `comment: '#'`"):
        source(tmp_path / "s.csv")
    made = source(tmp_path / "s.csv", comment="#")
    assert torch.equal(made.past, source(write(tmp_path, rows())).past)
    (tmp_path / "s.csv").write_text("\n".join(["# one", "day,y,x", *rows(20), *rows()[21:]]))
    with pytest.raises(UsageError, match=r"s\.csv:23: 1 row missing"):
        source(tmp_path / "s.csv", comment="#")


def test_rows_that_hold_nothing_between_two_steps_are_left_out_when_gaps_are_filled(tmp_path, caplog):
    lines = [*rows(20), f"{DAYS[19]} 06:00,,", *rows()[20:]]
    with pytest.raises(UsageError, match="is no whole number of steps"):
        source(write(tmp_path, lines), step="1d")
    made = source(write(tmp_path, lines), step="1d", gaps="previous")
    assert "1 row with nothing but a time, between two steps of 1d, left out" in caplog.text
    assert torch.equal(made.past, source(write(tmp_path, rows())).past)
