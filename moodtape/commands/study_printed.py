"""What `ablate`, `evaluate` and `audit --clock` print of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moodtape.commands.console import note, print_table, say

KNOWN, PUBLISHED = "known_at", "published_at"
MOST_SENTENCES = 12


def print_answers(results: Mapping[str, Any]) -> None:
    """Print a study's words, the figures behind them, and where its page is."""
    from moodtape.forecaster.report.words import named

    question = results["question"]
    texts = f", {results['texts_used']:,} texts" if results["texts_used"] else ""
    say(
        f"{question['subject']} for {named(question['symbols'])}, decisions from"
        f" {question['since']:%Y-%m-%d %H:%M} to {question['until']:%Y-%m-%d %H:%M} UTC{texts}"
    )
    _print_line(results["results"])
    say("95 % intervals of the gain over null, in % of its loss, and over each placebo.")
    say("")
    if results["attention"]:
        say("A second line, beside the first: how many texts there were, without their tone.")
        _print_line(results["attention"])
        say("")
    print_rivals(results)
    for caveat in results["caveats"]:
        note(f"Note: {caveat}")
    audited = results["audit"]
    state = "no look-ahead" if audited["clean"] else "LOOK-AHEAD FOUND"
    say(f"Audit: {state} in {audited['checked']:,} numbers at {len(audited['cuts'])} cuts.")
    if results["lead_lag"]["sentence"]:
        say(results["lead_lag"]["sentence"])
    if results["learnt"]["sentence"]:
        say(results["learnt"]["sentence"])
    say(results["holdout"]["sentence"])
    kept = "" if results["deviations"] else ", kept"
    say(f"Plan: {results['provenance']['plan']}, written before any test row was read{kept}.")
    for deviation in results["deviations"]:
        note(f"Deviation from the plan: {deviation}.")
    say(f"Page: {results['report']}")


def _print_line(answers: Sequence[Mapping[str, Any]]) -> None:
    """Print the sentences of the forecaster that gives the word, then the figures of all."""
    for answer in answers:
        if answer["decides"]:
            say(f"  {answer['sentence']}")
    say("")
    rows = [
        {
            **answer,
            "word": answer["verdict"],
            "gain": _percent(answer["effect"]),
            "over_null": _interval(answer["interval"]),
            "over_shift": _interval(answer["interval_shift"]),
            "over_echo": _interval(answer["interval_echo"]),
            "smallest": _smallest(answer),
        }
        for answer in answers
    ]
    print_table(
        rows,
        {
            "symbol": "symbol",
            "target": "target",
            "horizon_bars": "bars",
            "forecaster": "forecaster",
            "word": "verdict",
            "gain": "gain",
            "over_null": "over null",
            "over_shift": "over shift",
            "over_echo": "over echo",
            "smallest": "would have found",
            "n": "n",
        },
    )


def print_rivals(results: Mapping[str, Any]) -> None:
    """Print whether the forecaster beats its rivals, a sentence a question."""
    told = results["rivals"]["sentences"]
    for sentence in told[:MOST_SENTENCES]:
        say(f"  {sentence}")
    if len(told) > MOST_SENTENCES:
        say(f"  and {len(told) - MOST_SENTENCES} more such sentences in results.json")
    say("")


def _percent(share: float | None) -> str:
    return "-" if share is None or share != share else f"{share:+.2%}"


def _interval(ends: Sequence[float]) -> str:
    if any(end is None or end != end for end in ends):
        return "-"
    return f"{100 * ends[0]:+.2f} to {100 * ends[1]:+.2f}"


def _smallest(answer: Mapping[str, Any]) -> str:
    """Return from what size on a gain would have been found; a dash where nobody looked."""
    looked = answer["detectable"]
    if looked is None:
        return "-"
    if looked["above"] is not None:
        return f"above {looked['above']:.2%}"
    return f"{answer['minimum_detectable_effect']:.2%}"


def print_clocks(results: Mapping[str, Any]) -> None:
    """Print what the wishful clock makes of the effect, beside the honest one."""
    questions: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for row in results["results"]:
        asked = (row["symbol"], row["target"], row["horizon_bars"], row["forecaster"])
        questions.setdefault(asked, {})[row["clock"]] = row
    rows = [
        {
            **by_clock[KNOWN],
            "honest": _percent(by_clock[KNOWN]["effect"]),
            "honest_interval": _interval(by_clock[KNOWN]["interval"]),
            "wishful": _percent(by_clock[PUBLISHED]["effect"]),
            "wishful_interval": _interval(by_clock[PUBLISHED]["interval"]),
            "worth": _percent(by_clock[PUBLISHED]["over_known"]),
            "worth_interval": _interval(by_clock[PUBLISHED]["over_known_interval"]),
        }
        for by_clock in questions.values()
    ]
    heads = {
        "symbol": "symbol", "target": "target", "horizon_bars": "bars", "forecaster": "forecaster",
        "honest": "gain, as known", "honest_interval": "95 %", "wishful": "gain, as published",
        "wishful_interval": "95 %", "worth": "look-ahead is worth", "worth_interval": "95 %",
        "n": "n",
    }  # fmt: skip
    print_table(rows, heads)
    what = "texts" if results["subject"] == "sentiment" else "metrics"
    say(
        f"Gains over null, in % of its loss, with {what} as they were known and as they were"
        " published. Only the first could have been had; the last two say what look-ahead is"
        " worth. No verdict follows from it."
    )
