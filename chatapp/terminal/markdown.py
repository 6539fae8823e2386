"""Markdown for the terminal, block by block. Knows nothing of streams, cursors or chats.

What a model wrote is shown, all of it, and only shown: HTML, images, link targets, LaTeX and
footnote definitions stay readable text, single newlines stay, nothing is rich markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.escape import escape
from markdown_it.token import Token
from rich import box, markdown
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderResult
from rich.segment import Segment
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from chatapp.terminal.plain import clean
from chatapp.terminal.wrap import Prose

Row = list[Segment]

THEME = Theme(
    {
        "markdown.code": "bold cyan",
        "markdown.h1": "bold underline",
        "markdown.h2": "bold underline",
        "markdown.h3": "bold",
        "markdown.h4": "bold italic",
        "markdown.item.number": "cyan",
        "markdown.block_quote": "italic",
        "markdown.link_url": "blue underline",
    }
)
CODE_THEME = "ansi_dark"
CODE_INDENT = "  "
DEEPEST = 40
"""Nesting (in markdown-it's levels) beyond which a block is shown as it was written."""
NARROWEST = 10
"""Columns the innermost text must be left with; a block that cannot is shown as it was written."""
LATEX = frozenset("()[]{}\\,;:! ")
"""What follows a backslash in LaTeX; Markdown would take the backslash away."""


@dataclass(frozen=True, slots=True)
class Block:
    """One top-level block, or one item of a top-level list, as it was written."""

    source: str
    joined: bool = False
    """Whether it goes on with the list above it: no blank line between."""


def split(source: str, *, joined: bool = False) -> list[Block]:
    """The blocks of a text. All but the last are final, whatever text may follow.

    `joined` says so of the first one.
    """
    lines = source.split("\n")
    offsets = list(accumulate((len(line) + 1 for line in lines), initial=0))
    starts: dict[int, bool] = {}
    for token in _PARSER.parse(source):
        if token.map and token.nesting >= 0:
            if token.level == 0:
                starts[token.map[0]] = False
            elif token.level == 1 and token.type == "list_item_open":
                starts.setdefault(token.map[0], True)
    if starts:
        starts[min(starts)] = joined
    ends = [offsets[line] for line in starts] + [len(source)]
    return [
        Block(source[begin:end], is_joined)
        for (begin, end), is_joined in zip(pairwise(ends), starts.values(), strict=True)
    ]


def code_of(block: Block) -> Token | None:
    """The token of a block that is code; its lines are final one by one."""
    tokens = _PARSER.parse(block.source)
    return tokens[0] if tokens and tokens[0].type in ("fence", "code_block") else None


def render_block(block: Block, console: Console) -> list[Row]:
    """A block as rows of the window, without blank ones at its ends."""
    tokens = _parse(block.source)
    shown: ConsoleRenderable = Prose(Text(block.source.strip("\n")))
    if _fits(tokens, console.width):
        shown = _Markdown(tokens)
    rows = render_rows(shown, console)
    while rows and not rows[-1]:
        rows.pop()
    while rows and not rows[0]:
        rows.pop(0)
    return rows


def render_code(code: str, language: str, console: Console) -> list[list[Row]]:
    """The rows of each line of code, highlighted as a whole."""
    return [render_rows(_Indented(line), console) for line in _highlight(code, language)]


def render_rows(shown: ConsoleRenderable, console: Console) -> list[Row]:
    """Anything as rows of the window, without spaces at their ends."""
    options = console.options.update(height=None)
    return [_stripped(row) for row in console.render_lines(shown, options, pad=False)]


def _stripped(row: Row) -> Row:
    row = [segment for segment in row if segment.text and not segment.control]
    while row:
        last = row.pop()
        if text := last.text.rstrip():
            return [*row, last._replace(text=text)]
    return row


def _parse(source: str) -> list[Token]:
    tokens = _PARSER.parse(source)
    for token in tokens:
        for child in token.children or ():
            child.content = clean(child.content)  # an entity such as &#13; is a control again
            if child.type == "softbreak":
                child.type = "hardbreak"
    return tokens


def _fits(tokens: Iterable[Token], width: int) -> bool:
    """Whether the nesting, and the columns of a table, leave room for text."""
    depth = columns = 0
    for token in tokens:
        depth = max(depth, token.level)
        columns += token.type == "th_open"
    return depth < DEEPEST and width - 2 * depth >= NARROWEST and width >= 6 * columns


def _escape_but_latex(state: StateInline, silent: bool) -> bool:
    r"""Markdown's rule for backslashes, which keeps those of `\(x\)` and `\\`."""
    if state.src[state.pos] == "\\" and state.src[state.pos + 1 : state.pos + 2] in LATEX:
        if not silent:
            state.pending += state.src[state.pos : state.pos + 2]
        state.pos += 2
        return True
    return escape(state, silent)


def _build_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST + 20})
    parser.enable(["table", "strikethrough"])
    parser.disable(["reference", "image", "html_block", "html_inline"])
    parser.inline.ruler.at("escape", _escape_but_latex)
    return parser


_PARSER = _build_parser()


def _highlight(code: str, language: str) -> list[Text]:
    """The lines of a code, as many as there are, whatever its lexer makes of it."""
    plain = code.removesuffix("\n").split("\n") if code else []
    lexer = language.partition(" ")[0] or "text"
    text = Syntax(code, lexer, theme=CODE_THEME, tab_size=4).highlight(code)
    lines = list(text.split("\n", allow_blank=True))[: len(plain)]
    return lines if len(lines) == len(plain) else [Text(line) for line in plain]


class _Indented:
    """A line of code, wrapped inside the indentation."""

    def __init__(self, line: Text) -> None:
        self._line = line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(1, options.max_width - len(CODE_INDENT))
        for row in self._line.wrap(console, width, overflow="fold", tab_size=4) or [Text()]:
            yield Text.assemble(CODE_INDENT, row)


class _Code(markdown.CodeBlock):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in _highlight(self.text.plain, self.lexer_name):
            yield _Indented(line)


class _Paragraph(markdown.Paragraph):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Prose(self.text)


class _Heading(markdown.Heading):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Prose(self.text)


class _Item(markdown.ListItem):
    """An item that shows the number it was written with, whatever stands before it."""

    marker = " • "

    @classmethod
    def create(cls, markdown: markdown.Markdown, token: Token) -> _Item:
        item = cls()
        if token.info:
            item.marker = f"{token.info}{token.markup} ".rjust(4)
        return item

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        indent = len(self.marker)
        rows = console.render_lines(
            self.elements, options.update(width=options.max_width - indent), pad=False
        )
        style = "bullet" if self.marker.isspace() or "•" in self.marker else "number"
        marker = Segment(self.marker, console.get_style(f"markdown.item.{style}"))
        for index, row in enumerate(rows or [[]]):
            yield Segment(" " * indent) if index else marker
            yield from row
            yield Segment.line()


class _List(markdown.ListElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.items


class _Table(markdown.TableElement):
    """A table that folds long words rather than cutting them."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True)
        if self.header is not None and self.header.row is not None:
            for cell in self.header.row.cells:
                heading = cell.content.copy()
                heading.stylize("bold")
                table.add_column(heading, justify=cell.justify, overflow="fold")
        for row in self.body.rows if self.body is not None else ():
            table.add_row(*(cell.content for cell in row.cells))
        yield table


class _Markdown(markdown.Markdown):
    """rich's Markdown over tokens of our own."""

    elements = markdown.Markdown.elements | {
        "paragraph_open": _Paragraph,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "bullet_list_open": _List,
        "ordered_list_open": _List,
        "list_item_open": _Item,
        "table_open": _Table,
    }

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = tokens
