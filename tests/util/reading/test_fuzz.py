"""Whatever bytes a file has, its reader returns a value or says in one line what is wrong, soon."""

import pytest

from tests.util.reading.fuzzing import EXTRAS, READERS, fuzz

NAMES = [pytest.param(name, marks=[pytest.mark.extra] * (name in EXTRAS)) for name in READERS]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_is_changed_can_be_read(name, tmp_path, capfd):
    read, ending, files = READERS[name]
    for number, data in enumerate(files()):
        path = tmp_path / str(number) / (ending if ending[0] != "." else f"file{ending}")
        path.parent.mkdir()
        path.write_bytes(data)
        read(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_some_files(name, tmp_path, capfd):
    assert fuzz(name, tmp_path, examples=15) > 5


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_files_for_a_minute(name, tmp_path, capfd):
    count = fuzz(name, tmp_path, seconds=60)
    with capfd.disabled():
        print(f"{name}: {count} files in a minute")
    assert count > 20
