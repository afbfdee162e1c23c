"""A notebook is saved without what differs on every run and says nothing to a reader."""

from nbformat.v4 import new_code_cell, new_notebook, new_output

from edge_course.contributing import execute


def printed(text: str, name: str = "stdout"):
    return new_output("stream", name=name, text=text)


def test_what_was_printed_in_a_row_is_one_output() -> None:
    picture = new_output("display_data", {"text/plain": "a picture"})
    log = printed("a log line\n", "stderr")
    cell = new_code_cell(outputs=[printed("a\n"), log, printed("b\n"), picture, printed("c\n")])
    execute.clean(new_notebook(cells=[cell]))
    texts = [output.get("text", "picture") for output in cell.outputs]
    assert texts == ["a\nb\n", "picture", "c\n"]
