"""Checks that what ships (functions/, capturer/) is pinned to the versions that it is tested with."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("functions/requirements.txt", "capturer/requirements.txt")
LOCKS = tuple(f"requirements/{name}.txt" for name in ("dev", "sam", "ministack", "spark"))
FOREIGN = re.compile(r"https?://|^--(index-url|extra-index-url|find-links)|file:|^/", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    """Return name -> version of the `name==version` lines of a requirements file."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.MULTILINE))


def complaints(root: Path) -> list[str]:
    """Return one line for each file that differs from the lock, or that names where packages come from."""
    tested = pins((root / LOCKS[0]).read_text())
    found = [
        f"{name} has {package}=={version}, {LOCKS[0]} {tested.get(package)}: write that, or make lock"
        for name in SHIPPED
        for package, version in pins((root / name).read_text()).items()
        if tested.get(package) != version
    ]
    return found + [
        f"{name} names a package source: run make lock"
        for name in LOCKS
        if FOREIGN.search((root / name).read_text())
    ]


def main(arguments: Sequence[str] = ()) -> int:
    """Print the complaints; exit code 1 when there are any."""
    found = complaints(Path(arguments[0]) if arguments else ROOT)
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
