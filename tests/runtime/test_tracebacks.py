"""The line of an author's code that raised an error."""

import pytest

from kerascnn.runtime.tracebacks import described, said

PACKAGE = "def build(call):\n    call()\n"
HELPER = "def divide():\n    return 1 / 0\n"
STACK = """in user code:

    File "/home/me/my_plugin/policies.py", line 8, in apply  *
        y = ops.reshape(x, (3, 7))
    File "/lib/site-packages/keras/src/ops/numpy.py", line 7349, in reshape  **
        return backend.numpy.reshape(x, newshape)

    ValueError: Cannot reshape a tensor.
"""


def module(text, name, file):
    made = {"__name__": name}
    exec(compile(text, file, "exec"), made)
    return made


def error_of(call):
    with pytest.raises(ZeroDivisionError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    ("package", "helper", "place"),
    [
        ("my_plugin", "helpers", "rates.py, line 2"),  # its own line, of all it called
        ("", "helpers", "helpers.py, line 2"),
        ("", "json.decoder", "rates.py, line 2"),
        ("", "keras.src.layers", "rates.py, line 2"),
        ("", "kerascnn.engine", "rates.py, line 2"),
        ("", "kerascnn.components.builtin.light", "helpers.py, line 2"),
        ("kerascnn", "kerascnn.engine", "rates.py, line 2"),
    ],
)
def test_the_innermost_line_of_the_author_is_named(package, helper, place):
    build = module(PACKAGE, "my_plugin.rates", "/home/me/my_plugin/rates.py")["build"]
    divide = module(HELPER, helper, "/home/me/helpers.py")["divide"]
    error = error_of(lambda: build(divide))
    assert described(error, package) == f"ZeroDivisionError: division by zero ({place})"


def test_the_stack_that_tensorflow_writes_into_an_error_is_read():
    error = ValueError(STACK)
    assert said(error) == "ValueError: Cannot reshape a tensor."
    assert described(error) == "ValueError: Cannot reshape a tensor (policies.py, line 8)"


def test_an_error_of_no_author_has_no_place():
    assert described(OSError("disk full.")) == "OSError: disk full"
