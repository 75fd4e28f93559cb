"""
The throughput of the parts on this machine, on one core, written to build/bench/report.json.

    python -m benchmarks
    python -m benchmarks --rows 20000 --rounds 2 decoder_single

Each figure is {name, value, unit, baseline, ratio}: `baseline` is the throughput of the usual library, or for
bulk_files of the article's scripts, with the same bytes in the same run; `ratio` is value divided by
baseline.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import bulk_direct, bulk_files
from benchmarks.decoder import BENCHMARKS, Figure, measure

REPORT = Path(__file__).resolve().parent.parent / "build/bench/report.json"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*BENCHMARKS, bulk_direct.NAME, bulk_files.NAME]
    parser.add_argument("names", nargs="*", choices=[*names, []], help="default: all", metavar="NAME")
    parser.add_argument("--rows", type=int, default=100_000, help="rows in large transactions (100000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the fastest counts (5)")
    chosen = parser.parse_args(arguments)
    figures: list[Figure] = []
    for figure in _figures(chosen.names or names, chosen.rows, chosen.rounds):
        figures.append(figure)
        print(
            f"{figure['name']:22} {figure['value']:>10,.0f} {figure['unit']}, "
            f"baseline {figure['baseline']:>8,.0f}, ratio {figure['ratio']:.1f}",
            flush=True,
        )
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _figures(names: Sequence[str], rows: int, rounds: int) -> Iterator[Figure]:
    if recorded := [name for name in names if name in BENCHMARKS]:
        yield from measure(recorded, rows, rounds)
    if bulk_direct.NAME in names:
        yield from bulk_direct.measure(rows, rounds)
    if bulk_files.NAME in names:
        yield from bulk_files.measure(rows * bulk_files.SHARE, rounds)


if __name__ == "__main__":
    sys.exit(main())
