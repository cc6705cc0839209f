"""Tables of labels as people have them: any dialect, names of columns and way to write paths."""

import csv
import io
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerascnn import InputError
from kerascnn.components.builtin.image_folder import IMAGE_FOLDER

SPLITS = ("train", "validation", "test")


def build(path, **params):
    params = {"labels": "labels.csv"} | params
    return IMAGE_FOLDER.build(IMAGE_FOLDER.params(path=path, **params), seed=0)


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def write_table(root, text, encoding="utf-8"):
    write(root, *(f"all/{i}.jpg" for i in range(30)))
    (root / "labels.csv").write_bytes(text.encode(encoding))


def rows(count=30, *more):
    lines = [f"all/{i}.jpg,{label(i)}" for i in range(count)]
    return "\n".join(["path,label", *lines, *more]) + "\n"


def label(number):
    return "odd" if number % 2 else "even"


def labels_of(splits, root):
    """What each image is, by its path in the folder."""
    return {
        path.relative_to(root).as_posix(): splits.class_names[index]
        for split in SPLITS
        for path, index in (getattr(splits, split)[i] for i in range(len(getattr(splits, split))))
    }


EXPECTED = {f"all/{i}.jpg": label(i) for i in range(30)}


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("path,label", "all/{0}.jpg,{1}"),
        ("Path,Label", "all/{0}.jpg,{1}"),
        ("filename;class", "all/{0}.jpg;{1}"),
        ("File Name\tCategory", "all/{0}.jpg\t{1}"),
        ("label|image_path", "{1}|all/{0}.jpg"),
        (",path,label", "{0},all/{0}.jpg,{1}"),  # of pandas' to_csv
        ("id,filename,class,width", "{0},all/{0}.jpg,{1},640"),
        ("path,label,photographer", 'all/{0}.jpg,{1},"Müller, ""Max"""'),
        ('"path";"label"', '"all/{0}.jpg";"{1}"'),
        ("path,label,", "all/{0}.jpg,{1},"),
        ("path, label", "all/{0}.jpg, {1}"),
        ("sep=;\npath;label", "all/{0}.jpg;{1}"),
        ("path,label\n,", "all/{0}.jpg,{1}\n,"),  # empty rows
        ("image,breed", "all/{0}.jpg,{1}"),  # of two columns, one is known
        ("Bild,label", "all/{0}.jpg,{1}"),
        ("unnamed: 0,image_id,species", "{0},{0},{1}"),
        ("path,label", r"all\{0}.jpg,{1}"),
        ("path,label", r"C:\Users\me\photos\all\{0}.jpg,{1}"),
        ("path,label", "/home/me/photos/all/{0}.jpg,{1}"),
        ("path,label", "photos/all/{0}.jpg,{1}"),
        ("path,label", "{{root}}/all/{0}.jpg,{1}"),
        ("path,label", "./all/{0}.jpg,{1}"),
        ("image_id,label", "{0},{1}"),
        ("image_id,label", "all/{0},{1}"),
        ("filename,label", "{0}.jpg,{1}"),
    ],
)
def test_what_is_clear_is_read(tmp_path, header, line):
    lines = [line.format(i, label(i)).replace("{root}", str(tmp_path)) for i in range(30)]
    write_table(tmp_path, "\n".join([header, *lines, ""]))
    assert labels_of(build(tmp_path), tmp_path) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_ends_of_lines(tmp_path, encoding, end):
    write_table(tmp_path, rows().replace("odd", "ungerade Zahl ½").replace("\n", end), encoding)
    assert build(tmp_path).class_names == ["even", "ungerade Zahl ½"]


@pytest.mark.parametrize(
    ("header", "line", "params"),
    [
        ("photo,path,label", "all/{0}.jpg,0,{1}", {"path_column": "photo"}),
        ("path,label,class", "all/{0}.jpg,0,{1}", {"label_column": "class"}),
        ("path,Art der Zahl,kind", "all/{0}.jpg,{1},0", {"label_column": "Art der Zahl"}),
        ("path#label", "all/{0}.jpg#{1}", {"separator": "#"}),
    ],
)
def test_the_rest_is_said_by_settings(tmp_path, header, line, params):
    write_table(tmp_path, "\n".join([header, *(line.format(i, label(i)) for i in range(30))]))
    assert labels_of(build(tmp_path, **params), tmp_path) == EXPECTED


def test_a_table_beside_the_folder(tmp_path):
    """As Kaggle has it: train.csv, and the images in train/."""
    write_table(tmp_path / "photos", "")
    lines = [f"{i},{label(i)}" for i in range(30)]
    (tmp_path / "train.csv").write_text("\n".join(["id,label", *lines]))
    splits = build(tmp_path / "photos", labels="../train.csv")
    assert labels_of(splits, tmp_path / "photos") == EXPECTED


def test_a_table_of_labels_and_splits(tmp_path):
    lines = [f"all/{i}.jpg,{i % 2},{('train', 'Val', 'test')[i // 10]}" for i in range(30)]
    write_table(tmp_path, "\n".join(["path,label,split", *lines]))
    splits = build(tmp_path)
    assert [len(getattr(splits, split)) for split in SPLITS] == [10, 10, 10]
    assert splits.validation[0] == (tmp_path / "all" / "10.jpg", 0)


def test_both_forms_of_a_label_are_one_class(tmp_path):
    name = "Gänseblume"
    text = rows().replace("even", unicodedata.normalize("NFD", name))
    write_table(tmp_path, text.replace(unicodedata.normalize("NFD", name), name, 3))
    assert build(tmp_path).class_names == [name, "odd"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            r"columns \(none\).* names the image and which one is the label\. Set dataset\.",
        ),
        (
            "a,b\nx,y\n",
            "columns a, b, separated by ','.* Set dataset.path_column and dataset.label_column",
        ),
        ("path\nx\n", "columns path.* which one is the label"),
        ("path,label,class,label\nx,y,z,w\n", r"is the label \(label or label\)"),
        ("file,filename,label\nx,y,z\n", r"names the image \(file or filename\)"),
        (rows(30, "all/99.jpg,odd", "all/98.jpg,odd"), r"2 of 32 files missing, such as .*99\.jpg"),
        (rows(29, "all/29.jpeg,odd"), r'29\.jpeg"\. Did you mean "29\.jpg"'),
        (rows(29, r"all\29.jpeg,odd"), r'backslashes, "all\\29\.jpeg"\)\. Did you mean "29\.jpg'),
        (rows(30, "all/0.jpg,odd"), r'0\.jpg" 2 times'),
        (rows(30, "../x.jpg,odd"), r'line 32: "\.\./x\.jpg" leads out'),
        (rows(30, "/../x.jpg,odd"), r'line 32: "/\.\./x\.jpg" leads out'),
        (rows(30, "/etc/hostname,odd"), r'line 32: "/etc/hostname" leads out'),
        (rows(30, "all/loop.jpg,odd"), r"1 of 31 files missing, such as .*loop\.jpg"),
        (rows(30, "./all/../all/0.jpg,odd"), r'0\.jpg" 2 times'),
        (rows(30, "a\0b,odd"), "line 32: .* leads out|cannot read `labels`"),
        (rows(30, "all/0.jpg"), "line 32: expected 2 values, including path, label"),
        (rows(30, "all/0.jpg,odd,3"), "line 32: expected 2 values"),
        (rows(30, '"all/0.jpg,odd'), "cannot read `labels`.*unexpected end of data"),
        ("path,label,split\nall/0.jpg,odd,holdout\n", 'split "holdout"; expected train'),
        ("path,label,split\nall/0.jpg,odd,test\n", "1 row but none in the train split"),
    ],
)
def test_a_table_that_is_at_fault(tmp_path, text, message):
    write_table(tmp_path, text)
    (tmp_path / "all" / "loop.jpg").symlink_to(tmp_path / "all" / "loop.jpg")
    with pytest.raises(InputError, match=message):
        build(tmp_path)


def test_an_image_that_may_be_one_of_two(tmp_path):
    write_table(
        tmp_path, rows().replace("path", "image_id").replace("all/", "").replace(".jpg", "")
    )
    write(tmp_path, "test/7.png")
    with pytest.raises(InputError, match=r'lists "7", which could be ".*all/7\.jpg" or ".*7\.png"'):
        build(tmp_path)


@pytest.mark.parametrize("setting", ["path_column", "label_column"])
def test_a_column_that_is_not_there(tmp_path, setting):
    write_table(tmp_path, rows())
    with pytest.raises(InputError, match=rf'{setting} = "lable".*Did you mean "label"\? Its'):
        build(tmp_path, **{setting: "lable"})


def test_links_are_named_only_where_they_are_followed(tmp_path):
    root = tmp_path / "photos"
    write_table(root, rows(30, "link.jpg,odd"))
    write(tmp_path, "outside.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(InputError, match=r'line 32: "link.jpg" is a link out of .*follow_links'):
        build(root)
    assert len(labels_of(build(root, follow_links=True), root)) == 31


def test_a_missing_table(tmp_path):
    write_table(tmp_path, rows())
    with pytest.raises(InputError, match=r'label\.csv".* Did you mean "labels\.csv"'):
        build(tmp_path, labels="label.csv")


def test_a_table_in_another_encoding(tmp_path):
    write_table(tmp_path, "path,label\nall/0.jpg,Gänseblümchen\n", "latin-1")
    with pytest.raises(InputError, match=r"cannot read `labels`.*utf-8") as caught:
        build(tmp_path)
    assert "Did you mean" not in str(caught.value)


# Any text that may stand in a table: no line of its own, and not only blanks.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12)
LABEL = TEXT.map(str.strip).filter(bool)


@st.composite
def tables(draw):
    """A table in some dialect and what it says: the text, its encoding, and label by file."""
    labels = draw(st.lists(LABEL, min_size=2, max_size=2, unique_by=same))
    files = {f"image{i}.jpg": labels[i % 2] for i in range(12)}
    columns = [draw(st.sampled_from(["path", "Path", "file_name", "Filename", "image path"]))]
    columns += [draw(st.sampled_from(["label", "Label", "class", "Class Name", "category"]))]
    extra = draw(st.lists(st.sampled_from(["width", "note", "", "id"]), unique=True))
    order = draw(st.permutations([*columns, *extra]))
    buffer = io.StringIO(newline="")
    writer = csv.writer(
        buffer,
        delimiter=draw(st.sampled_from(",;\t|")),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
    )
    writer.writerow(order)
    for path, name in files.items():
        known = dict(zip(columns, (path, name), strict=True))
        writer.writerow([known.get(column, draw(TEXT)) for column in order])
    for _ in range(draw(st.integers(0, 2))):
        writer.writerow([""] * len(order))
    return buffer.getvalue(), draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])), files


def same(name):
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@pytest.fixture(scope="module")
def twelve(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twelve")
    write(folder, *(f"image{i}.jpg" for i in range(12)))
    return folder


@given(table=tables())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_dialect_says_the_same(twelve, table):
    text, encoding, expected = table
    (twelve / "labels.csv").write_bytes(text.encode(encoding))
    found = labels_of(build(twelve), twelve)
    assert found == {path: unicodedata.normalize("NFC", name) for path, name in expected.items()}
