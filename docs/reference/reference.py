#!/usr/bin/env python3
"""reference.py - the reference of the public API, made from the headers' own comments.

    reference.py --man DIR HEADER...        one man page a header, one that names it for each function
    reference.py --markdown DIR HEADER...   one page a header, and README.md, the list of them

The headers are the only source: who changes a contract changes its comment, and the pages follow.  What
is understood is the form all of them have (docs/style.md, part 2): a comment at the top that opens with
`path - summary`; indented code; facts, one word and two blanks or more ("Threads   all"); then blocks
of declarations, each with the comment above it, grouped by `-- title ---` lines.
"""
import argparse
import pathlib
import re
import sys
from dataclasses import dataclass, field

COMMENT = re.compile(r"/\*(.*?)\*/", re.S)
TITLE = re.compile(r"^-- (.+?) -{3,}\s*$")
FACT = re.compile(r"^([A-Z][A-Za-z]+|[a-z_]+) {2,}(\S.*)$")
FUNCTION = re.compile(r"\b(sonde_[a-z0-9_]+)\s*\(")


@dataclass
class Text:
    """A comment: paragraphs, code, facts, in their order, as (kind, ...) tuples."""

    parts: list = field(default_factory=list)

    @classmethod
    def of(cls, lines):
        text = cls()
        for line in lines:
            text.add(line)
        return text

    def add(self, line):
        stripped = line.strip()
        fact = FACT.match(stripped) if not line.startswith("  ") else None
        last = self.parts[-1] if self.parts else ("gap",)
        if not stripped:
            self.parts.append(("gap",))
        elif fact:
            self.parts.append(("fact", fact.group(1), fact.group(2)))
        elif line.startswith("   ") and last[0] == "fact":
            self.parts[-1] = ("fact", last[1], last[2] + " " + stripped)
        elif line.startswith("  "):
            self.extend("code", line, "\n")
        else:
            self.extend("text", stripped, " ")

    def extend(self, kind, words, glue):
        last = self.parts[-1] if self.parts else ("gap",)
        blank = kind == "code" and len(self.parts) > 1 and last[0] == "gap" and self.parts[-2][0] == "code"
        if last[0] == kind:
            self.parts[-1] = (kind, last[1] + glue + words)
        elif blank:
            self.parts.pop()
            self.parts[-1] = ("code", self.parts[-1][1] + "\n\n" + words)
        else:
            self.parts.append((kind, words))


@dataclass
class Item:
    """Declarations that share a comment; a title alone has neither."""

    title: str
    text: Text
    code: str


@dataclass
class Page:
    path: str
    summary: str
    text: Text
    items: list

    @property
    def name(self):
        return self.path.replace("/", "_").removesuffix(".h")

    @property
    def functions(self):
        return list(dict.fromkeys(name for item in self.items for name in functions_in(item.code)))


def functions_in(code):
    lines = "\n".join(line for line in COMMENT.sub("", code).split("\n") if not line.lstrip().startswith("#"))
    return [name for name in FUNCTION.findall(lines) if not name.endswith("_")]


def comment_lines(body):
    lines = [re.sub(r"^\s?\*? ?", "", line, count=1) if at else line.strip() for at, line in enumerate(body.split("\n"))]
    return [line.rstrip() for line in lines]


def head_of(source, path):
    lines = comment_lines(COMMENT.search(source).group(1))
    summary = re.match(r"(\S+) - (.*)", lines[0])
    if not summary:
        sys.exit(f"{path}:1: the first comment must open with \"path - what it is for\"")
    rest = lines[1:]
    words = summary.group(2)
    while rest and rest[0].strip():
        words += " " + rest.pop(0).strip()
    return summary.group(1), words.rstrip("."), Text.of(rest)


def declarations(source):
    """The part between the guard's inner extern "C" braces, without preprocessor lines that are no macros
    of the API and without the bodies of inline functions."""
    source = re.sub(r"#ifdef __cplusplus\n.*?#endif\n", "", source, flags=re.S)
    source = source[COMMENT.search(source).end():]
    source = re.sub(r"^[ \t]*#[ \t]*(include|if|ifdef|ifndef|endif|else|elif|error|undef)\b.*\n", "", source, flags=re.M)
    source = re.sub(r"^#define \w+_H\n", "", source, flags=re.M)
    source = re.sub(r"^SONDE_INLINE .*?\n\{.*?^\}\n", "", source, flags=re.M | re.S)  # declared before
    source = re.sub(r"^static inline .*?\n\{.*?^\}\n", lambda m: "" if "_(" in m.group(0).split("\n")[0]
                    else m.group(0).split("\n{")[0] + ";\n", source, flags=re.M | re.S)
    return re.sub(r"/\* clang-format (on|off) \*/\n", "", source)


def items_of(source):
    items = []
    for block in blocks(declarations(source)):
        lead = re.match(r"/\*(.*?)\*/\s*", block, re.S)
        lines = comment_lines(lead.group(1)) if lead else []
        title = TITLE.match(lines[0]) if lines else None
        code = plain(block[lead.end():] if lead else block)
        text = Text.of(lines[1:] if title else lines)
        if title:
            items.append(Item(title.group(1), text, ""))
            text = Text()
        if not code and not text.parts or is_internal(code):
            continue
        if items and not text.parts and not items[-1].text.parts and not items[-1].title:
            items[-1].code += ("\n\n" if "}" in code or items[-1].code.endswith(";") and "}" in items[-1].code else "\n") + code
        else:
            items.append(Item("", text, code))
    return items


def blocks(source):
    """What blank lines divide; those between braces do not."""
    held = ""
    for block in re.split(r"\n\s*\n", source):
        held = held + "\n\n" + block if held else block.strip("\n")
        bare = COMMENT.sub("", held)
        if bare.count("{") == bare.count("}"):
            yield held
            held = ""


def plain(code):
    """Declarations as a caller reads them: no attributes, no macro bodies, no line breaks of a formatter."""
    if not re.match(r"#define \w+_MAP\(", code):
        code = re.sub(r"\\\n\s*", " ", code)
        code = re.sub(r"^#define \w+_\(.*\n?", "", code, flags=re.M)
        code = re.sub(r"^(#define \w+\([^)]*\)) .*$", r"\1", code, flags=re.M)
    code = re.sub(r"\b(SONDE_API|SONDE_MUST_USE)\s+", "", code)
    code = re.sub(r"^((?:const )?(?:struct )?\w+)\n(?=sonde_\w+\()", r"\1 ", code, flags=re.M)
    code = re.sub(r",\n {8,}(?=\S)", ",\n    ", code)
    code = re.sub(r"\n {8,}\*(\w+;)", r" *\1", code)
    return code.strip("\n")


def is_internal(code):
    named = re.search(r"#define (\w+)", code) or FUNCTION.search(code)
    return bool(named and named.group(1).endswith("_")) or bool(re.fullmatch(r"(typedef struct (\w+) \2;.*\n?)+", code))


def read(path):
    source = pathlib.Path(path).read_text(encoding="utf-8")
    name, summary, text = head_of(source, path)
    return Page(name, summary, text, items_of(source))


# --- markdown -----------------------------------------------------------------------------------------


def md_text(text):
    out = []
    for part in text.parts:
        if part[0] == "text":
            out.append(part[1] + "\n\n")
        elif part[0] == "code":
            out.append("```c\n" + dedent(part[1]) + "\n```\n\n")
        elif part[0] == "fact":
            out.append(f"* **{part[1]}** {part[2]}\n")
        elif out and out[-1].startswith("* "):
            out.append("\n")
    return "".join(out)


def dedent(code):
    lines = code.split("\n")
    margin = min((len(l) - len(l.lstrip()) for l in lines if l.strip()), default=0)
    return "\n".join(l[margin:] for l in lines)


def markdown(page):
    out = [f"# `<{page.path}>`: {page.summary}\n\n", md_text(page.text), "\n"]
    for item in page.items:
        if item.title:
            out.append(f"## {item.title.capitalize()}\n\n")
        if item.code:
            out.append("```c\n" + item.code + "\n```\n\n")
        out.append(md_text(item.text) + "\n")
    return re.sub(r"\n{3,}", "\n\n", "".join(out)).rstrip("\n") + "\n"


def write_markdown(pages, folder):
    for page in pages:
        (folder / f"{page.name}.md").write_text(markdown(page), encoding="utf-8")
    rows = "".join(f"| [`<{p.path}>`]({p.name}.md) | {p.summary} |\n" for p in pages)
    (folder / "README.md").write_text(
        "# Reference of the public API\n\nMade from the headers.\n\n| Header | What |\n|---|---|\n" + rows,
        encoding="utf-8")


# --- man ----------------------------------------------------------------------------------------------


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def man_code(code):
    return ".PP\n.in +4n\n.nf\n" + "\n".join(roff(l) for l in code.split("\n")) + "\n.fi\n.in\n"


def man_text(text):
    out = []
    for part in text.parts:
        if part[0] == "text":
            out.append(".PP\n" + roff(part[1]) + "\n")
        elif part[0] == "code":
            out.append(man_code(dedent(part[1])))
        elif part[0] == "fact":
            out.append(f".TP\n.B {roff(part[1])}\n{roff(part[2])}\n")
    return "".join(out)


def man(page, others):
    names = ", ".join([page.name] + page.functions)
    out = [f".TH {page.name.upper()} 3 \"\" \"Sonde\" \"Library Functions\"\n",
           f".SH NAME\n{roff(names)} \\- {roff(page.summary)}\n",
           f".SH SYNOPSIS\n.nf\n#include <{page.path}>\n.PP\n"]
    synopsis = [i.code for i in page.items if i.code]
    out.append("\n.PP\n".join("\n".join(roff(l) for l in c.split("\n")) for c in synopsis) + "\n.fi\n")
    out.append(".SH DESCRIPTION\n" + man_text(page.text))
    for item in page.items:
        if item.title:
            out.append(f".SH {roff(item.title.upper())}\n")
        if item.code and item.text.parts:
            out.append(f".SS {roff(heading(item.code))}\n")
        out.append(man_text(item.text))
    see = ",\n".join(f".BR {o} (3)" for o in others if o != page.name)
    out.append(".SH SEE ALSO\n" + see.replace(",\n", " ,\n") + "\n")
    return "".join(out)


def heading(code):
    """What a block of declarations is about: the names it declares."""
    found = [n + "()" for n in functions_in(code)]
    if code.startswith("#"):
        found = [n for n in re.findall(r"#define (\w+)", code) if not n.endswith("_")]
    elif not found:
        found = re.findall(r"(?:struct|enum|union) (\w+)", code)[:1] or re.findall(r"(\w+)\)?\s*\(", code)[:1]
    return ", ".join(dict.fromkeys(found)) or code.split("\n")[0]


def write_man(pages, folder):
    others = [p.name for p in pages]
    for page in pages:
        (folder / f"{page.name}.3").write_text(man(page, others), encoding="utf-8")
        for name in page.functions:
            if name not in others:
                (folder / f"{name}.3").write_text(f".so man3/{page.name}.3\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--man", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="DIR")
    parser.add_argument("headers", nargs="+", metavar="HEADER")
    args = parser.parse_args()
    pages = [read(path) for path in args.headers]
    for folder, write in ((args.man, write_man), (args.markdown, write_markdown)):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            write(pages, folder)


if __name__ == "__main__":
    main()
