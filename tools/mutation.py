# SPDX-License-Identifier: Apache-2.0
"""Finds the small changes to C code that tools/mutants tries, one at a time.

Only what stands in a function's body is changed; never an assert, a comment, a text, a line of the
preprocessor. A change keeps the number of lines. It reads tokens, no grammar: what does not compile
is dropped by who tries it.
"""
import random
import re
from typing import NamedTuple

TOKEN = re.compile(
    r"""(?P<space>\s+|/\*.*?\*/|//[^\n]*)
      | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<op><<=|>>=|\.\.\.|->|\+\+|--|<=|>=|==|!=|&&|\|\||<<|>>|[-+*/%&|^]=|.)
    """, re.X | re.S)
PREPROCESSOR = re.compile(r"^[ \t]*#(?:\\\n|/\*.*?\*/|[^\n])*", re.M | re.S)
INTEGER = re.compile(r"(?:0[xX]([0-9a-fA-F]+)|(0[0-7]+)|(\d+))([uUlL]*)$")
ENUM = re.compile(r"\benum\b\s*\w*\s*\{([^{}]*)\}", re.S)

BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
CONDITION = {"==": "!=", "!=": "==", "&&": "||", "||": "&&"}
ARITHMETIC = {"+": "-", "-": "+", "+=": "-=", "-=": "+=", "++": "--", "--": "++"}
# What the system's headers name, beside the enums of the project.
NAMES = {"true": "false", "false": "true", "EV_READ": "EV_WRITE", "EV_WRITE": "EV_READ",
         "CLOCK_MONOTONIC": "CLOCK_REALTIME", "CLOCK_REALTIME": "CLOCK_MONOTONIC"}
# Calls that guard against errors of ours or guide the compiler, without effect on what a test sees.
SILENT = re.compile(r"(_Static_)?assert$|__attribute__$|__builtin_expect$|CHECK_\w+$")
# A statement that begins with one of these is a declaration or has a body.
NO_STATEMENT = set("""if else for while do switch case default struct union enum typedef const
    static extern inline register volatile unsigned signed int long short char bool float double void
    _Bool _Atomic _Static_assert __extension__ __attribute__ sizeof""".split())
AFTER_NAME = {"(", ".", "->", "[", "=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=",
              "++", "--", ";"}
NO_TYPE = {"return", "else", "case", "goto", "do", "sizeof"}
LEAVES = {"return", "goto", "break", "continue"}

KINDS = ("boundary", "condition", "statement", "leave", "constant", "name", "arithmetic", "not")


class Token(NamedTuple):
    kind: str
    text: str
    at: int         # offset in the file


class Mutant(NamedTuple):
    path: str       # below the root of the source
    line: int
    at: int         # what is replaced: text[at:end]
    end: int
    new: str
    kind: str

    def apply(self, text):
        return text[:self.at] + self.new + text[self.end:]


def tokens(text):
    """The tokens of C code without what is never changed."""
    blank = PREPROCESSOR.sub(lambda m: " " * len(m.group()), text)
    return [Token(m.lastgroup, m.group(), m.start()) for m in TOKEN.finditer(blank)
            if m.lastgroup != "space"]


def partners(toks):
    """Index of each bracket to that of its partner."""
    found, stack = {}, []
    for i, t in enumerate(toks):
        if t.kind == "op" and t.text in "([{":
            stack.append(i)
        elif t.kind == "op" and t.text in ")]}" and stack:
            found[i] = stack.pop()
            found[found[i]] = i
    return found


def enum_names(texts):
    """Each name of an enum to the one after it in the same enum."""
    after = dict(NAMES)
    for text in texts:
        clean = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
        for body in ENUM.findall(clean):
            names = re.findall(r"(?:^|,)\s*([A-Za-z_]\w*)", body)
            for i, name in enumerate(names):
                if len(names) > 1:
                    after.setdefault(name, names[(i + 1) % len(names)])
    return after


class Finder:
    def __init__(self, path, text, names):
        self.path, self.text, self.names = path, text, names
        self.toks = tokens(text)
        self.partner = partners(self.toks)
        self.found = []

    def add(self, kind, first, last, new):
        """Replace the tokens from first to last."""
        at, end = self.toks[first].at, self.toks[last].at + len(self.toks[last].text)
        new += "\n" * self.text.count("\n", at, end)
        self.found.append(Mutant(self.path, self.text.count("\n", 0, at) + 1, at, end, new, kind))

    def is_op(self, i, *texts):
        return 0 <= i < len(self.toks) and self.toks[i].kind == "op" and self.toks[i].text in texts

    def run(self):
        i = 0
        while i < len(self.toks):
            if self.is_op(i, "{") and i in self.partner and self.toks[i - 1].text != '"C"':
                if self.is_op(i - 1, ")"):
                    self.body(i + 1, self.partner[i])
                i = self.partner[i]     # a body, or a table or type outside of one
            i += 1
        return self.found

    def body(self, i, end):
        while i < end:
            t = self.toks[i]
            if t.kind == "name" and SILENT.search(t.text) and self.is_op(i + 1, "("):
                if t.text == "__builtin_expect":    # its condition counts, its hint does not
                    self.body(i + 2, self.hint(i + 1))
                i = self.partner[i + 1] + 1
                continue
            if self.is_dimension(i):
                i = self.partner[i] + 1
                continue
            if t.kind == "op":
                self.operator(i)
            elif t.kind == "number":
                self.constant(i)
            elif t.kind == "name":
                self.name(i)
            if self.starts_statement(i):
                self.statement(i)
            i += 1

    def hint(self, opening):
        """The last comma of a call."""
        i = self.partner[opening]
        while not self.is_op(i, ","):
            i -= 1
        return i

    def operator(self, i):
        t = self.toks[i]
        binary = i > 0 and (self.toks[i - 1].kind in ("name", "number") and
                            self.toks[i - 1].text != "return" or self.is_op(i - 1, ")", "]"))
        if t.text in BOUNDARY:
            self.add("boundary", i, i, BOUNDARY[t.text])
        elif t.text in CONDITION:
            self.add("condition", i, i, CONDITION[t.text])
        elif t.text in ("+", "-") and binary or t.text in ("+=", "-=", "++", "--"):
            self.add("arithmetic", i, i, ARITHMETIC[t.text])
        elif t.text == "!":
            self.add("not", i, i, "")

    def constant(self, i):
        m = INTEGER.match(self.toks[i].text)
        if not m or self.is_op(i - 1, "{") and self.is_op(i + 1, "}"):      # {0} is all there is of it
            return
        value = int(m[1], 16) if m[1] else int(m[2], 8) if m[2] else int(m[3])
        form = "0x%x" if m[1] else "0%o" if m[2] else "%d"
        # `return -1`: callers ask whether it is negative, not by how much.
        failure = self.is_op(i - 1, "-") and self.toks[i - 2].text == "return"
        for other in (value - 1,) if failure else (value + 1, value - 1):
            if other >= 0:
                self.add("constant", i, i, form % other + m[4])

    def is_dimension(self, i):
        """The [8] of `type name[8]`: one more or less is no change that could be seen."""
        return (self.is_op(i, "[") and i in self.partner and self.toks[i - 1].kind == "name"
                and (self.toks[i - 2].kind == "name" and self.toks[i - 2].text not in NO_TYPE
                     or self.is_op(i - 2, "*") and self.toks[i - 3].kind == "name"
                     and self.is_op(i - 4, ";", "{", "}")))

    def name(self, i):
        t = self.toks[i]
        if t.text in ("if", "while") and self.is_op(i + 1, "("):
            close = self.partner[i + 1]
            if self.is_negated_already(i + 2, close):
                return
            inner = self.text[self.toks[i + 1].at + 1:self.toks[close].at]
            at, end = self.toks[i + 1].at + 1, self.toks[close].at
            line = self.text.count("\n", 0, at) + 1
            self.found.append(Mutant(self.path, line, at, end, f"!({inner})", "condition"))
        elif t.text in self.names:
            self.add("name", i, i, self.names[t.text])

    def is_negated_already(self, i, close):
        """`if (a == b)` and `if (!a)`: the changes to their operators are the same change."""
        ops = [t.text for t in self.toks[i:close] if t.kind == "op"]
        return (sum(op in CONDITION for op in ops) == 1 and not {"&&", "||"} & set(ops)
                or ops[:1] == ["!"] and not set(ops) & {*CONDITION, *BOUNDARY})

    def starts_statement(self, i):
        if self.is_op(i - 1, ";", "{", "}"):
            # `for (a; b; c)` holds semicolons as well.
            return not self.in_parentheses(i)
        if self.is_op(i - 1, ")") and i - 1 in self.partner:
            before = self.toks[self.partner[i - 1] - 1]
            return before.kind == "name" and (before.text in ("if", "for", "while", "switch") or
                                              before.text.endswith("FOREACH"))
        return self.toks[i - 1].kind == "name" and self.toks[i - 1].text in ("else", "do")

    def in_parentheses(self, i):
        depth = 0
        while i > 0:
            i -= 1
            if self.is_op(i, "(") and i in self.partner:
                return True
            if self.is_op(i, "{"):
                return False
            if self.is_op(i, ")", "}") and i in self.partner:
                i = self.partner[i]
        return False

    def statement(self, i):
        t = self.toks[i]
        end = i
        while not self.is_op(end, ";"):
            if self.is_op(end, "{", "}") or end + 1 >= len(self.toks):
                return
            end = self.partner[end] if self.is_op(end, "(", "[") and end in self.partner else end
            end += 1
        if t.kind == "name" and t.text in LEAVES:
            if t.text != "return" or self.is_guarded(i, end):
                self.add("leave", i, end, ";")
        elif t.kind == "name":
            if t.text not in NO_STATEMENT and self.toks[i + 1].text in AFTER_NAME \
                    and not SILENT.search(t.text) and end > i:
                self.add("statement", i, end, ";")
        elif self.is_op(i, "*", "++", "--") or self.is_op(i, "(") and end > i + 4:
            self.add("statement", i, end, ";")

    def is_guarded(self, i, end):
        """A return that is all of an if, or ends its block; one that ends a function stays."""
        if self.is_op(i - 1, ")") or self.toks[i - 1].text == "else":
            return True
        close = end + 1
        if not self.is_op(close, "}") or close not in self.partner:
            return False
        before = self.partner[close] - 1
        if not self.is_op(before, ")") or before not in self.partner:
            return self.toks[before].text == "else"
        return self.toks[self.partner[before] - 1].text == "if"


def find(path, text, names):
    """All changes to one file, in the order of their place."""
    return sorted(set(Finder(path, text, names).run()), key=lambda m: (m.at, m.kind, m.new))


def draw(mutants, count, seed):
    """count of them at random, the kinds taking turns; 0: all. In the order of their place."""
    chosen = list(mutants)
    if count and count < len(chosen):
        dice = random.Random(seed)
        piles = [[m for m in mutants if m.kind == kind] for kind in KINDS]
        for pile in piles:
            dice.shuffle(pile)
        turns = [pile[i] for i in range(max(map(len, piles))) for pile in piles if i < len(pile)]
        chosen = turns[:count]
    return sorted(chosen, key=lambda m: (m.path, m.at, m.kind, m.new))
