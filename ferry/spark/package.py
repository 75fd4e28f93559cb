"""
The code as one archive for spark-submit's --py-files, and the job's main file.

    python -m ferry.spark.package build/spark
"""

import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "rowferry.zip"
_PACKAGES = ("functions/rowferry", "functions/hooks", "bulkload", "capturer", "ferry")


def files() -> Iterator[tuple[Path, str]]:
    """Each file with its name in the archive: packages at its root, mappings in functions/."""
    for package in map(ROOT.joinpath, _PACKAGES):
        for path in sorted(package.rglob("*.py")):
            yield path, path.relative_to(package.parent).as_posix()
    for path in sorted((ROOT / "functions").iterdir()):
        if path.suffix in (".toml", ".json"):
            yield path, f"functions/{path.name}"


def package(folder: Path) -> Path:
    """Writes rowferry.zip and job.py into the folder; returns the archive."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, name in files():
            archive.write(path, name)
    shutil.copy(Path(__file__).with_name("job.py"), folder / "job.py")
    return folder / NAME


if __name__ == "__main__":
    print(package(Path(sys.argv[1])))
