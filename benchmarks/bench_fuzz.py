"""Gives every reader of what others write changed inputs; a crash or a slow one ends in a list.

    python benchmarks/bench_fuzz.py [--inputs 200] [--seconds 500] [--only "news feed"]
        [--state fuzz.json]

Only Moodtape's own errors may come out of a reader, and none may take longer than a second of
processor time. Inputs are numbered and made from their number, so that each can be made again.
Readers take turns of some seconds, those that are least far first. The state file remembers
how far every reader is: run it again to go on. A reader that had faults
begins anew, so that a whole course is one of the reader as it is.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fuzz_parsers import Parser, parsers

from moodtape.errors import MoodtapeError

SLOW_S, HANGS_S = 1.0, 60
TURN_S = 5
KEPT = 20


class Hangs(BaseException):
    """A reader did not come back."""


@dataclass
class Course:
    """What came of one reader so far."""

    inputs: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    crashes: dict[str, list[str]] = field(default_factory=dict)
    slow: list[str] = field(default_factory=list)


def fuzz(parser: Parser, course: Course, inputs: int, until: Callable[[], bool]) -> None:
    """Go on with a reader until it has had so many inputs, or until it is time to stop."""
    while course.inputs < inputs and not until():
        number = course.inputs
        dice = random.Random(f"{parser.name} {number}")
        began = time.process_time()
        try:
            parser.parse(dice, number)
        except MoodtapeError:
            course.refused += 1
        except (Exception, Hangs) as exc:  # noqa: BLE001  it is what is looked for
            place = traceback.extract_tb(exc.__traceback__)[-1]
            where = f"{type(exc).__name__} in {Path(place.filename).name}:{place.lineno}"
            examples = course.crashes.setdefault(where, [])
            if len(examples) < KEPT:
                examples.append(f"{number}: {str(exc)[:150]}")
        took = time.process_time() - began
        course.slowest_s = max(course.slowest_s, took)
        if took > SLOW_S:
            course.slow.append(f"{number}: {took:.1f} s")
        course.inputs += 1


def resumed(kept: dict[str, Any]) -> Course:
    """Return how far a reader has come without a fault."""
    course = Course(**kept)
    return Course() if course.crashes or course.slow else course


def hang(number: int, frame: Any) -> None:
    """End a reader that does not come back; a piece has so much processor time."""
    raise Hangs


def main() -> int:
    """Go on with every reader in turn and say what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--only", default="")
    parser.add_argument("--state", type=Path)
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    stop = time.monotonic() + asked.seconds
    kept = asked.state is not None and asked.state.is_file()
    state = json.loads(asked.state.read_text()) if kept else {}
    signal.signal(signal.SIGPROF, hang)
    with TemporaryDirectory() as scratch:
        every = [p for p in parsers(Path(scratch)) if asked.only in p.name]
        courses = {p.name: resumed(state.get(p.name, {})) for p in every}
        gc.freeze()
        left = [p for p in every if courses[p.name].inputs < asked.inputs]
        while left and time.monotonic() < stop:
            for one in sorted(left, key=lambda p: courses[p.name].inputs):
                turn = time.process_time() + TURN_S
                signal.setitimer(signal.ITIMER_PROF, HANGS_S)
                fuzz(
                    one, courses[one.name], asked.inputs,
                    lambda turn=turn: time.process_time() > turn or time.monotonic() > stop,
                )  # fmt: skip
                signal.setitimer(signal.ITIMER_PROF, 0)
                if asked.state is not None:
                    state |= {name: vars(course) for name, course in courses.items()}
                    asked.state.write_text(json.dumps(state, indent=1))
            left = [p for p in left if courses[p.name].inputs < asked.inputs]
    return told(courses)


def told(courses: dict[str, Course]) -> int:
    """Say what came of every reader; return 1 where one crashed or was slow."""
    bad = 0
    for name, course in courses.items():
        print(f"{name:28} {course.inputs:>8,} inputs, {course.refused:>8,} refused whole,"
              f" slowest {course.slowest_s:.3f} s")  # fmt: skip
        for where, examples in course.crashes.items():
            print(f"    {where}: {examples[0]}")
        for line in course.slow[:5]:
            print(f"    slow: {line}")
        bad += len(course.crashes) + len(course.slow)
    print("no crash, none slower than a second" if not bad else f"{bad} faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
