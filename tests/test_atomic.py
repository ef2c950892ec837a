import os

import pytest

from rrelu_tf import atomic
from rrelu_tf.errors import UserError


def test_a_file_is_replaced_whole(tmp_path):
    final = tmp_path / "table.txt"
    atomic.write_text(final, "old")
    atomic.write_text(final, "new é")
    assert final.read_text(encoding="utf-8") == "new é"
    assert os.listdir(tmp_path) == ["table.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    final = tmp_path / "table.txt"
    atomic.write_text(final, "old")
    with pytest.raises(RuntimeError), atomic.path(final) as temporary:
        temporary.write_text("half")
        assert final.read_text() == "old"
        raise RuntimeError
    assert final.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.txt"]


def test_two_that_write_at_the_same_time_do_not_share_a_file(tmp_path):
    final = tmp_path / "table.txt"
    with atomic.path(final) as one, atomic.path(final) as other:
        one.write_text("one, whole")
        other.write_text("oth")
    assert final.read_text() == "one, whole"
    assert os.listdir(tmp_path) == ["table.txt"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def fill(folder):
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "file").write_bytes(b"1")
        assert not (tmp_path / "1").exists()

    with pytest.raises(KeyError), atomic.path(tmp_path / "1") as temporary:
        fill(temporary)
        raise KeyError
    assert os.listdir(tmp_path) == []
    with atomic.path(tmp_path / "1") as temporary:
        fill(temporary)
    assert (tmp_path / "1" / "inner" / "file").read_bytes() == b"1"
    assert os.listdir(tmp_path) == ["1"]


def test_a_folder_never_takes_the_place_of_a_filled_one(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "old").touch()
    with (
        pytest.raises(UserError, match="1 must be writable.*Received: path="),
        atomic.path(tmp_path / "1") as temporary,
    ):
        temporary.mkdir()
    assert os.listdir(tmp_path) == ["1"]
    assert os.listdir(tmp_path / "1") == ["old"]


def test_a_missing_folder_is_one_line_that_names_the_path(tmp_path):
    with pytest.raises(UserError) as caught:
        atomic.write_text(tmp_path / "missing" / "file", "text")
    message = str(caught.value)
    assert message.endswith(f"Received: path={tmp_path}/missing/file")
    assert "\n" not in message


def test_only_leftover_files_of_the_names_given_are_discarded(tmp_path):
    gone = [".run.json.12.tmp", ".a.png.3.tmp"]
    kept = [".other.json.12.tmp", "run.json", "a.png", ".run.json.tmp"]
    for name in (*gone, *kept):
        (tmp_path / name).touch()
    (tmp_path / ".b.png.4.tmp").mkdir()
    atomic.discard_leftovers(tmp_path, "run.json", "*.png")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, ".b.png.4.tmp"])
    atomic.discard_leftovers(tmp_path / "missing", "*.png")
