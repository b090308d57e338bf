from typing import Literal

import msgspec
import pytest

from memguard.errors import ConfigError, InputError, KernelFileError, MemguardError, UnfitError, problem_and_field


@pytest.mark.parametrize(
    ("line", "field", "text"),
    [
        (None, None, "node.json: it is empty. Write a new one."),
        (7, None, "node.json:7: it is empty. Write a new one."),
        (None, "$.node", "node.json: it is empty at $.node. Write a new one."),
        (7, "$.node", "node.json:7: it is empty at $.node. Write a new one."),
    ],
)
def test_bad_input_is_named_with_its_remedy(line: int | None, field: str | None, text: str) -> None:
    error = InputError("node.json", "it is empty", remedy="Write a new one.", line=line, field=field)
    assert str(error) == text
    assert (error.source, error.line, error.field, error.remedy) == ("node.json", line, field, "Write a new one.")


class Weights(msgspec.Struct):
    weights: dict[Literal["memory"], float] = {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"weights": {"memory": "x"}}', ("Expected `float`, got `str`", "$.weights[...]")),
        (b'{"weights": {"size": 1}}', ("Invalid enum value 'size' as a key", "$.weights")),
        (b"{", ("Input data was truncated", "")),
    ],
)
def test_what_msgspec_says_has_a_place(text: bytes, told: tuple[str, str]) -> None:
    with pytest.raises(msgspec.DecodeError) as refused:
        msgspec.json.decode(text, type=Weights)
    assert problem_and_field(refused.value) == told


def test_exit_codes() -> None:
    assert InputError("a", "b", remedy="c").exit_code == 2
    assert ConfigError("a", "b", remedy="c").exit_code == 2
    assert UnfitError("no cgroup v2").exit_code == 1
    assert KernelFileError("/proc/meminfo", "what is this").exit_code == 2


@pytest.mark.parametrize("kind", [InputError, ConfigError, UnfitError, KernelFileError])
def test_one_tree(kind: type[Exception]) -> None:
    assert issubclass(kind, MemguardError)


def test_a_kernel_file_that_is_not_understood_asks_for_a_report() -> None:
    assert str(KernelFileError("/proc/meminfo", "no MemTotal", line=3)) == (
        "/proc/meminfo:3: no MemTotal. Please report this file's content with your kernel version."
    )
