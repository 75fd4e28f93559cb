"""
Compares what the documents say with the project: links, make targets, commands, parameters, metrics.

Also checks the wording of documents, and of strings and comments in the code: see lab/prose.py.

    python -m lab.check_docs            exit status 1 and one line for each claim that does not hold
    python -m lab.check_docs --write    first writes the parts of documents that are generated from the code
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import apply_changes.metrics
import capturer.telemetry
import ferry.cli
from lab import prose
from rowferry.control_table import KEYS

ROOT = Path(__file__).resolve().parent.parent
SPEAKING = ("functions", "capturer", "bulkload", "ferry", "lab", "benchmarks", "examples")
METRICS = ROOT / "docs/metrics.md"
ARCHITECTURE = ROOT / "docs/architecture.md"


def main() -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.check_docs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true", help="write what is generated from the code")
    if parser.parse_args().write:
        for page, text in made().items():
            page.write_text(text, encoding="utf-8")
    wrong = [line for page in pages() for line in (*check(page), *style(page, prose.of_document))]
    wrong += [line for module in modules() for line in style(module, prose.of_python)]
    wrong += [
        f"{page.relative_to(ROOT)} is not what the code says: python -m lab.check_docs --write"
        for page, text in made().items()
        if page.read_text(encoding="utf-8") != text
    ]
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


def made() -> dict[Path, str]:
    """The documents that are generated from the code, in whole or in part, with their proper text."""
    return {METRICS: metrics_page(), ARCHITECTURE: with_keys(ARCHITECTURE.read_text(encoding="utf-8"))}


def with_keys(text: str) -> str:
    """
    docs/architecture.md with the control table's keys between its two marks. Raises ValueError without these.
    """
    lines = [f"| {key.pattern} | {key.written_by} | {key.holds} |" for key in KEYS]
    table = "\n".join(["| pk | written by | holds |", "| --- | --- | --- |", *lines])
    before, mark, rest = text.partition("<!-- control table -->\n")
    _, end, after = rest.partition("\n<!-- end -->")
    if not (mark and end):
        raise ValueError("docs/architecture.md lacks the marks of the control table")
    return before + mark + "\n" + table + "\n" + end + after


def pages() -> list[Path]:
    """Every document of the project."""
    folders = ("", "docs/", "events/", "examples/**/", ".github/**/")
    return [page for folder in folders for page in sorted(ROOT.glob(f"{folder}*.md"))]


def modules() -> list[Path]:
    """Every Python file whose strings and comments are checked."""
    return [module for folder in SPEAKING for module in sorted((ROOT / folder).rglob("*.py"))]


def style(file: Path, wrong: Callable[[str], Iterator[tuple[int, str]]]) -> Iterator[str]:
    """A line for each wording in a file that should be replaced."""
    # It has the words themselves.
    if file != Path(prose.__file__):
        for number, what in wrong(file.read_text(encoding="utf-8")):
            yield f"{file.relative_to(ROOT)}:{number}: {what}"


def check(page: Path) -> Iterator[str]:
    """A line for each claim of a page that is not true."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT)
    for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text):
        target = page.parent / link if link else page
        if not target.exists():
            yield f"{name}: link to {link}, which is not there"
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{name}: link to {link}#{anchor}, a heading that is not there"
    for said, known in _claims(text):
        for word in sorted(said - known):
            yield f"{name}: {word} is not there"


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def _code(text: str) -> str:
    """A page's blocks and spans of code, each on lines of its own: prose may begin a line with "make"."""
    return "\n".join(re.findall(r"^ *```.*?^ *```|`[^`\n]+`|^ {4}[^\n]*", text, re.MULTILINE | re.DOTALL))


def _claims(text: str) -> Iterator[tuple[set[str], set[str]]]:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    parameters = re.findall(
        r"^  ([A-Z]\w+):$", (ROOT / "template.yaml").read_text(encoding="utf-8"), re.MULTILINE
    )
    commands = re.findall(r"^    ([a-z-]+)  ", ferry.cli.parser().format_help(), re.MULTILINE)
    yield (
        _found(r"(?:^|`|\s{2})make ([a-z][a-z-]*)", _code(text), "make "),
        {f"make {target}" for target in targets},
    )
    yield (
        _found(r"(?:^|`|\s{2})ferry ([a-z][a-z-]*)", _code(text), "ferry "),
        {f"ferry {name}" for name in commands},
    )
    overrides = "\n".join(re.findall(r"--parameter-overrides (.*)", text.replace("\\\n", " ")))
    yield _found(r"(\w+)=", overrides, ""), {*parameters}
    folders = "functions|capturer|bulkload|ferry|lab|tests|docs|events|examples"
    files = _found(rf"`((?:{folders})/[\w./-]+)`", text, "")
    files |= _found(rf"(?<![\w/.])((?:{folders})/[\w./-]+\.(?:py|md|toml|json|sh))\b", text, "")
    yield {file for file in files if not (ROOT / file).exists()}, set()


def _found(pattern: str, text: str, prefix: str) -> set[str]:
    return {prefix + word for word in re.findall(pattern, text, re.MULTILINE)}


def metrics_page() -> str:
    """docs/metrics.md, from the two places that define metrics."""
    parts = [
        "# Metrics\n\nNamespace `Rowferry`, by `service`. Made by `python -m lab.check_docs --write`.\n",
        _table("The capturer's, every 10 seconds", capturer.telemetry.METRICS),
        _table("The consumer's, for each batch", apply_changes.metrics.METRICS),
    ]
    return "\n".join(parts)


def _table(title: str, metrics: Mapping[str, tuple[str, str]]) -> str:
    lines = [f"| {name} | {unit} | {meaning} |" for name, (unit, meaning) in metrics.items()]
    return "\n".join([f"## {title}\n", "| metric | unit | meaning |", "| --- | --- | --- |", *lines, ""])


if __name__ == "__main__":
    sys.exit(main())
