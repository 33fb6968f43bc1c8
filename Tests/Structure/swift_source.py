"""Swift files as the scripts in this folder read them: code without comments and strings, declarations and mentions."""

import contextlib
import io
import pathlib
import re
import tempfile

KINDS = "struct|class|enum|protocol|actor|typealias|func"
MODIFIERS = r"(?:(?:@\w+(?:\([^)]*\))?|public|package|internal|final|indirect|nonisolated(?:\(unsafe\))?|static)\s+)*"
DECLARATION = re.compile(rf"^{MODIFIERS}({KINDS})\s+`?(\w+)", re.M)
EXTENSION = re.compile(rf"^{MODIFIERS}extension\s+([\w.]+)", re.M)
PRIVATE = re.compile(rf"^(?:@\w+\s+)*(?:private|fileprivate)\s+{MODIFIERS}(?:{KINDS})\s+`?(\w+)", re.M)
INNER = re.compile(r"^([ \t]+)(?:[\w()@]+\s+)*?(struct|class|enum|protocol|actor|typealias|associatedtype)\s+(\w+)", re.M)
WORD = re.compile(r"(?<![\w.`])[A-Za-z_]\w*(?:\.[A-Z]\w*)*")


def split(text):
    """The code and the strings of a file, each as long as the file, with blanks in place of all else."""
    code, strings = list(text), [c if c == "\n" else " " for c in text]
    blank = lambda i, j: code.__setitem__(slice(i, j), [c if c == "\n" else " " for c in text[i:j]])

    def string(i):
        """Goes over the string that begins at i; what is interpolated stays code."""
        opening = re.compile(r'(#*)("""|")').match(text, i)
        hashes, quote = opening.groups()
        blank(i, opening.end())
        i = opening.end()
        while i < len(text):
            if text.startswith(quote + hashes, i):
                blank(i, i + len(quote + hashes))
                return i + len(quote + hashes)
            if text.startswith("\\" + hashes + "(", i):
                i = program(i + 2 + len(hashes), inside=True)
            elif text.startswith("\\" + hashes, i):
                blank(i, i + 2 + len(hashes))
                i += 2 + len(hashes)
            else:
                strings[i] = text[i]
                blank(i, i + 1)
                i += 1
        return i

    def program(i, inside=False):
        """Goes over code up to the end, or inside a string up to the bracket that ends an interpolation."""
        depth = 0
        while i < len(text):
            if text.startswith("//", i):
                end = text.find("\n", i)
                end = len(text) if end < 0 else end
                blank(i, end)
                i = end
            elif text.startswith("/*", i):
                start, level, i = i, 1, i + 2
                while level and i < len(text):
                    step = {"/*": 1, "*/": -1}.get(text[i : i + 2], 0)
                    level += step
                    i += 2 if step else 1
                blank(start, i)
            elif re.compile('#*"').match(text, i):
                i = string(i)
            else:
                depth += {"(": 1, ")": -1}.get(text[i], 0)
                i += 1
                if inside and depth < 0:
                    return i
        return i

    program(0)
    return "".join(code), "".join(strings)


class SwiftFile:
    """A file: the names that it declares for its whole module, and the names that it mentions."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.text = self.path.read_text()
        self.code, self.strings = split(self.text)
        # Of each name its line. A nested type goes by its whole name, `Outer.Inner`.
        self.declared, self.inner, self.own = {}, {}, set(PRIVATE.findall(self.code))
        self.outer = {m[1]: self.line(m.start()) for m in EXTENSION.finditer(self.code)}
        heads = [(m.start(), m[1]) for m in EXTENSION.finditer(self.code)]
        for m in DECLARATION.finditer(self.code):
            self.declared[m[2]] = self.line(m.start())
            heads.append((m.start(), m[2]))
        heads = sorted(heads)
        for m in INNER.finditer(self.code):
            self.own.add(m[3])
            outer = [name for start, name in heads if start < m.start()]
            if outer and m[2] != "associatedtype":
                self.inner[f"{outer[-1]}.{m[3]}"] = self.line(m.start())
        self.functions = {m[2] for m in DECLARATION.finditer(self.code) if m[1] == "func"}

    def line(self, position):
        return self.code.count("\n", 0, position) + 1

    def mentions(self, functions):
        """Each name in the code, with all beginnings of `Outer.Inner`, and its line.

        A name of `functions` counts where it is called, since variables have such names too.
        """
        for m in WORD.finditer(self.code):
            if m[0] in functions and (self.code[m.end() : m.end() + 1] != "(" or f"func {m[0]}(" in self.code):
                continue
            parts = m[0].split(".")
            for count in range(1, len(parts) + 1):
                yield ".".join(parts[:count]), self.line(m.start())


def files(folder):
    return [SwiftFile(path) for path in sorted(pathlib.Path(folder).rglob("*.swift"))]


def run_on(tree, check):
    """What a check of a folder returns and prints, for a folder made of {path: text}."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as output:
        for name, text in tree.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check(folder), output.getvalue()
