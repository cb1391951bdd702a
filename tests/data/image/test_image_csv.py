import pytest
from tests.helpers.image_files import classes, listed, write

from dlx.errors import ComponentError
from dlx.registry import sources


def csv(tmp_path, text):
    write(tmp_path, classes(10))
    (tmp_path / "list.csv").write_text(text)
    choices = {"path": str(tmp_path / "list.csv"), "image_size": 4, "cache": str(tmp_path / "cache")}
    return sources.build("image_csv", choices, {"seed": 0})


def test_a_csv_lists_images(tmp_path):
    rows = [f"{name},{name[:3]},{'test' if n % 5 == 0 else 'train'}" for n, name in enumerate(classes(10))]
    source = csv(tmp_path, "\n".join(["file,label,split", *rows]))
    assert {split: len(found) for split, found in listed(source).items()} == {"train": 12, "val": 4, "test": 4}
    assert source.facts["class_names"] == ["cat", "dog"]
    drawn = csv(tmp_path, "\n".join(["label,file", *(f"{name[:3]},{name}" for name in classes(10))]))
    assert {split: len(found) for split, found in listed(drawn).items()} == {"train": 12, "val": 4, "test": 4}


def test_splits_of_a_list_are_known_by_their_usual_words_in_any_case(tmp_path):
    words = ("Train", "training", "TRAIN", "Valid", "Testing")
    rows = [f"{name},{name[:3]},{words[n % 5]}" for n, name in enumerate(classes(10))]
    source = csv(tmp_path, "\n".join(["file,label,Split", *rows]))
    assert {split: len(found) for split, found in listed(source).items()} == {"train": 12, "val": 4, "test": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is blank: its first row names the columns, such as file,label"),
        ("\n \n\n", "is blank"),
        ("file,label\n", "lists no image"),
        ("fil,label\ncat/00.png,cat", "'file': unknown column; did you mean 'fil'"),
        ("file,label\ncat/00.png,cat\ncat/00.png,dog", "1 file stands there more than once: cat/00.png"),
        ("file,label,split\ncat/00.png,cat,trian", ":2: 'trian' is no split"),
        ("file,label\ncat/00.png", ":2: has 1 cells, but the header has 2"),
        ("file,label\ncat/00.png,", ":2: no label"),
        ("file,label\n,cat", ":2: no file"),
        ("file,label,split,Split\ncat/00.png,cat,train,test", "more than one column is named split"),
        (
            "file,label\ncat/00.png,cat\n" + "\n".join(f"dog/0{n}.png,dog" for n in range(9)),
            r"too few images of 'cat' \(one image only\)",
        ),
        (
            "file,label\ncat/nope.png,cat\ndog/00.png,dog",
            "1 of 2 images cannot be used .*\n.*cat/nope.png: cannot be read: No such",
        ),
    ],
)
def test_a_wrong_list_is_told(tmp_path, text, message):
    with pytest.raises(ComponentError, match=message):
        csv(tmp_path, text)
