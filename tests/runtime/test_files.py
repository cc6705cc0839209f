"""Files and folders that are whole or absent."""

from contextlib import suppress

import pytest

from kerascnn.runtime.files import folder_bytes, whole_file, whole_folder, write_whole


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    file = tmp_path / "result.json"
    write_whole(file, "é\n")
    with suppress(ZeroDivisionError), whole_file(file) as new:
        new.write_text("half")
        raise ZeroDivisionError
    assert file.read_text("utf-8") == "é\n"
    with whole_file(file) as new:
        new.write_text("all")
        assert file.read_text("utf-8") == "é\n"
    assert file.read_text() == "all"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("durable", [True, False])
def test_a_folder_appears_as_a_whole_or_not_at_all(tmp_path, durable):
    folder = tmp_path / "run"
    with suppress(ZeroDivisionError), whole_folder(folder, durable=durable) as new:
        (new / "half").write_text("")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with whole_folder(folder, durable=durable) as new:
        (new / "deep").mkdir()
        (new / "deep" / "file").write_text("all")
        assert not folder.exists()
    assert (folder / "deep" / "file").read_text() == "all"
    assert list(tmp_path.iterdir()) == [folder]


def test_the_bytes_of_files_however_deep_and_none_of_what_is_gone(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"123")
    (tmp_path / "link").symlink_to("nowhere")
    assert folder_bytes(tmp_path) == folder_bytes(tmp_path / "deep" / "file") == 3
    assert folder_bytes(tmp_path / "gone") == 0
