"""A page is 80 wide, and holds every word and number whole, whatever a table is like."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from roofsim.reports.page import page
from roofsim.reports.table import Column, Table


def blocks(table: Table) -> list[list[str]]:
    return [block.splitlines() for block in page([table], terminal=False).split("\n\n")]


words = st.text("abcdefgh_./", min_size=1, max_size=24)
cells = st.lists(words, min_size=1, max_size=5).map(" ".join)


@settings(max_examples=40)
@given(data=st.data(), keys=st.integers(1, 2), columns=st.integers(2, 9))
def test_no_line_is_wider_and_no_word_is_broken(data: st.DataObject, keys: int, columns: int) -> None:
    first = st.lists(words.map(lambda word: word[:12]), min_size=keys, max_size=keys)
    row = st.tuples(first, st.lists(cells, min_size=columns - keys, max_size=columns - keys)).map(lambda p: p[0] + p[1])
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    text = page([Table("", [Column(f"c{i}") for i in range(columns)], rows, keys=keys)], terminal=False)
    assert max(map(len, text.splitlines())) <= 80
    assert {word for each in rows for cell in each for word in cell.split()} <= set(text.split())


def test_a_table_that_is_too_wide_goes_on_below_led_by_what_tells_its_rows_apart() -> None:
    columns = [Column("model"), Column("batch", "count"), *(Column(f"figure {i}", "count") for i in range(9))]
    rows = [[name, batch, *range(10**7, 10**7 + 9)] for name in ("A", "B") for batch in (1, 2)]
    first, second = blocks(Table("Title", columns, rows, keys=2))
    assert [line.split()[:2] for line in first[3:]] == [line.split()[:2] for line in second[2:]]
    assert [line.split()[:2] for line in second[2:]] == [["A", "1"], ["A", "2"], ["B", "1"], ["B", "2"]]
    assert " ".join(first[1].split() + second[0].split()).count("figure") == 9


def test_what_goes_on_below_leaves_out_rows_that_say_nothing_more() -> None:
    note = "a_remark_that_is_as_long_as_this_one_and_has_no_blanks"
    first, second = blocks(Table("", [Column("field"), Column("value"), Column("note")],
                                 [["one", "v" * 30, ""], ["two", "v" * 30, note]]))  # fmt: skip
    assert [line.split()[0] for line in first[2:]] == ["one", "two"]
    assert [line.split() for line in second[2:]] == [["two", note]]


def test_a_table_that_fits_is_one_block_as_wide_as_its_texts() -> None:
    (lines,) = blocks(Table("", [Column("a"), Column("b", "count")], [["x", 1000], ["yy", 2]]))
    assert lines == ["a       b", "─────────", "x   1,000", "yy      2"]


def test_a_line_break_in_a_cell_is_one_in_its_column() -> None:
    (lines,) = blocks(Table("", [Column("a"), Column("words", "text"), Column("c", "count")], [["x", "a\nb", 3]]))
    assert lines[2:] == ["x  a      3", "   b"]
