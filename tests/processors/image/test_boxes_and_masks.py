import json

import numpy as np
import pytest
import torch
from PIL import Image

from dlx.commands.predict import Answers, render
from dlx.errors import DlxError
from dlx.processors.image import run_lengths
from dlx.processors.image.boxes import RESULTS, BoxProcessor, original, places
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.masks import MaskProcessor
from dlx.processors.image.reader import ImageReader

SIZES = [(60, 40), (30, 90)]


def processor(kind: type[ImageReader], resize="squash", stored=(24, 24), size=(24, 24)):
    return kind(Decoding(*stored, resize=resize), size, [0.5] * 3, [0.25] * 3, ["none", "cat", "dog"])


@pytest.fixture
def files(tmp_path):
    """Write images of two sizes, each with a white block: a quarter to three quarters of its sides."""
    for number, (width, height) in enumerate(SIZES):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 255
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return [str(tmp_path / f"{number}.png") for number in range(2)]


def blocks(batch):
    """Answer with the bright pixels of `input`, as masks and as boxes."""
    label = (batch["input"].mean(1) > 0).long() * 2
    boxes = []
    for image in label:
        rows, columns = image.nonzero().unbind(1)
        corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        boxes.append(torch.stack(corners).float())
    box = torch.stack([torch.stack(boxes), torch.full((2, 4), -1.0)], 1)
    score = torch.tensor([[0.5, -1.0]] * 2)
    return {"label": label, "box": box, "box_score": score, "box_label": torch.tensor([[2, -1]] * 2)}


@pytest.mark.parametrize(
    ("resize", "stored"), [("squash", (24, 24)), ("pad", (24, 24)), ("squash", (32, 28)), ("pad", (40, 30)), ("crop", (24, 24))]
)
def test_boxes_come_back_in_the_coordinates_of_the_original(resize, stored, files):
    made = processor(BoxProcessor, resize, stored)
    batch = made.encode(list(made.read(files)))
    assert batch["size"].tolist() == [list(size) for size in SIZES]
    answers = made.decode(blocks(batch))
    for answer, file, (width, height), place in zip(answers, files, SIZES, batch["place"].tolist(), strict=True):
        assert answer["file"] == file
        (box,) = answer["boxes"]
        assert box["label"] == "dog"
        assert box["score"] == 0.5
        wanted = [width / 4, height / 4, 3 * width / 4, 3 * height / 4]
        shown = [max(wanted[0], -place[0] * width / place[2]), max(wanted[1], -place[1] * height / place[3])]
        pixel = 1.01 * max(width / place[2], height / place[3])
        assert abs(box["x1"] - shown[0]) <= pixel
        assert abs(box["y1"] - shown[1]) <= pixel
        assert 0 <= box["x1"] < box["x2"] <= width
        assert 0 <= box["y1"] < box["y2"] <= height


def test_places_lead_there_and_back():
    decoding = Decoding(20, 30, resize="pad")
    place = places(decoding, (16, 24), [(100, 50)])
    assert place.tolist() == [[-3, 0.5 - 0.5, 30, 15]]
    box = torch.tensor([[0.0, 0, 100, 50], [20, 10, 40, 30]])
    there = box * (place[0, 2:] / torch.tensor([100.0, 50])).repeat(2) + place[0, :2].repeat(2)
    assert torch.allclose(original(there, place[0], (100, 50)), box, atol=1e-4)
    assert original(torch.tensor([[-50.0, -50, 90, 90]]), place[0], (100, 50)).tolist() == [[0, 0, 100, 50]]


def test_pictures_and_coco_json_are_written(files, tmp_path):
    made, folder = processor(BoxProcessor), tmp_path / "answers"
    for _ in range(2):
        prediction = blocks(made.encode(list(made.read(files))))
        answers = made.decode(prediction)
        made.write(answers, prediction, folder)
    assert [answer["picture"] for answer in answers] == [str(folder / "0-2.boxes.png"), str(folder / "1-2.boxes.png")]
    picture = np.asarray(Image.open(folder / "1.boxes.png"))
    assert picture.shape == (90, 30, 3)
    edge = picture[round(answers[1]["boxes"][0]["y1"]), 15]
    assert edge.tolist() == [255, 225, 25]  # the colour of the class
    results = json.loads((folder / RESULTS).read_text())
    assert len(results) == 4
    first, box = results[0], answers[0]["boxes"][0]
    assert first["category_id"] == 3
    assert first["bbox"] == pytest.approx([box["x1"], box["y1"], box["x2"] - box["x1"], box["y2"] - box["y1"]], abs=0.02)
    assert first["file_name"] == files[0]
    assert [result["image_id"] for result in results] == [0, 1, 0, 1]  # a name that is a number is COCO's id


def test_a_table_has_a_row_a_box_and_pictures_only_what_is_sure(files, tmp_path):
    made = processor(BoxProcessor)
    prediction = blocks(made.encode(list(made.read(files))))
    prediction |= {"drawn": torch.tensor([[True, False], [False, False]])}
    answers = made.decode(prediction)
    made.write(answers, prediction, tmp_path / "answers")
    assert len(json.loads((tmp_path / "answers" / RESULTS).read_text())) == 2
    colored = [len({*Image.open(answer["picture"]).get_flattened_data()} - {(0, 0, 0), (255, 255, 255)}) for answer in answers]
    assert colored[0] > 0
    assert colored[1] == 0
    (row,) = made.rows(answers[0])
    assert row == {"file": files[0], "picture": answers[0]["picture"], **answers[0]["boxes"][0]}
    assert made.rows({"file": "a", "boxes": []}) == []
    lines = list(render(Answers(iter([answers[0], {"file": "a", "boxes": []}]), None, made), as_json=False))
    assert lines[0] == "file,picture,label,score,x1,y1,x2,y2"
    assert len(lines) == 2
    assert list(render(Answers(iter([{"file": "a", "boxes": []}]), None, made), as_json=False)) == [",".join(made.header)]


def test_a_list_is_whole_after_every_batch_and_no_other_file_is_touched(files, tmp_path):
    made = processor(BoxProcessor)
    made.encode(list(made.read(files)))
    empty = {"box": torch.full((2, 0, 4), -1.0), "box_score": torch.zeros(2, 0), "box_label": torch.zeros(2, 0).long()}
    answers = made.decode(empty)
    assert [answer["boxes"] for answer in answers] == [[], []]
    made.write(answers, empty, tmp_path / "answers")
    assert json.loads((tmp_path / "answers" / RESULTS).read_text()) == []
    prediction = blocks(made.encode(list(made.read(files))))
    answers = made.decode(prediction)
    (tmp_path / "answers" / RESULTS).write_text("notes")
    with pytest.raises(DlxError, match="holds something else, which is left as it is"):
        made.write(answers, prediction, tmp_path / "answers")
    assert (tmp_path / "answers" / RESULTS).read_text() == "notes"


def test_masks_of_boxes_are_written_as_run_lengths_of_the_original(files, tmp_path):
    made = processor(BoxProcessor, "pad")
    prediction = blocks(made.encode(list(made.read(files))))
    masks = torch.stack([prediction["label"] > 0, torch.zeros(2, 24, 24, dtype=torch.bool)], 1)
    prediction = {**prediction, "mask": masks}
    answers = made.decode(prediction)
    made.write(answers, prediction, tmp_path / "answers")
    results = json.loads((tmp_path / "answers" / RESULTS).read_text())
    for result, file, (width, height), answer in zip(results, files, SIZES, answers, strict=True):
        assert result["segmentation"]["size"] == [height, width]
        mask = run_lengths.decode(result["segmentation"]["counts"], height, width)
        pixels = np.asarray(Image.open(file))[..., 0] > 0
        assert (mask == pixels).mean() > 0.9
        picture = np.asarray(Image.open(answer["picture"]))
        beneath = picture[int(0.68 * height), int(0.6 * width)]  # the name is written above
        assert beneath.tolist() == [255, 240, 140]  # white, half through the class's colour


@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_masks_have_the_size_of_the_original(resize, files, tmp_path):
    made, folder = processor(MaskProcessor, resize), tmp_path / "answers"
    prediction = blocks(made.encode(list(made.read(files))))
    answers = made.decode(prediction)
    made.write(answers, prediction, folder)
    for answer, file, (width, height) in zip(answers, files, SIZES, strict=True):
        mask = Image.open(answer["mask"])
        assert mask.mode == "P"
        codes, pixels = np.asarray(mask), np.asarray(Image.open(file))[..., 0]
        assert codes.shape == (height, width)
        assert set(np.unique(codes).tolist()) == {0, 2}
        assert ((codes == 2) == (pixels > 0)).mean() > 0.9
        assert answer["share"]["dog"] == pytest.approx((codes == 2).mean())
        assert sum(answer["share"].values()) == pytest.approx(1)
        assert np.asarray(Image.open(answer["picture"])).shape == (height, width, 3)


def test_what_a_crop_did_not_see_counts_for_nothing(files, tmp_path):
    made = processor(MaskProcessor, "crop")
    prediction = blocks(made.encode(list(made.read(files))))
    answers = made.decode(prediction)
    made.write(answers, prediction, tmp_path / "answers")
    codes = np.asarray(Image.open(answers[0]["mask"]))
    assert (codes[:, :10] == 255).all()
    assert (codes[:, 10:50] != 255).all()
