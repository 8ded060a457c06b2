"""The scenarios: what load comes, what happens meanwhile, and what has to hold."""

from dataclasses import dataclass, field
from typing import Callable

# What a caller's organisation feels is the tail: each slow answer holds one of few data action slots.
TAIL_MS = 100


@dataclass
class Scenario:
    """`phases` are (requests a second, seconds); `events` are (share of the whole time, what to do)."""

    says: str
    phases: list
    keeps_connections: bool = True
    events: list = field(default_factory=list)
    p99_ms: float = TAIL_MS
    checks: list[Callable] = field(default_factory=list)


def cut_over(world, marks):
    marks.begin("cutover")
    world.cli("cutover", "Main_IVR", "--reason", "load")
    marks.end("cutover")


def slow_down(world, marks):
    marks.begin("store slow")
    world.line.delay = 0.05


def speed_up(world, marks):
    world.line.delay = 0.0
    marks.end("store slow")


def cut(world, marks):
    marks.begin("store down")
    world.line.cut()


def mend(world, marks):
    world.line.mend()
    marks.end("store down")


def is_validated(at_least):
    """Of all answers so many percent are proved to be the latest."""

    def check(answers, marks, world):
        share = 100 * sum(answer.body.get("Source") == "validated" for answer in answers) / len(answers)
        return share >= at_least, f"{share:.2f} % validated, at least {at_least} % wanted"

    return check


def follows_the_cutover(answers, marks, world):
    """Before it blue, after it green; nobody who asks after it was acknowledged and is told `validated` gets the old slot."""
    begun, ended = marks.span("cutover")
    early = [a for a in answers if a.sent + a.took < begun and a.body["Slot"] != "blue"]
    stale = [a for a in answers if a.sent > ended and a.body["Source"] == "validated" and a.body["Slot"] != "green"]
    # An answer that is not validated may be as old as one poll.
    late = [a for a in answers if a.sent > ended + 1 and a.body["Slot"] != "green"]
    before = sum(a.sent + a.took < begun for a in answers)
    after = sum(a.sent > ended for a in answers)
    wrong = len(early) + len(stale) + len(late)
    return wrong == 0 and before and after, f"{wrong} wrong of {before} answers before and {after} after the cutover"


def goes_on_without(what):
    """While `what` lasts answers come from memory; within ten seconds after it twenty in a row are proved again."""

    def check(answers, marks, world):
        begun, ended = marks.span(what)
        during = [a for a in answers if begun + 1 < a.sent < ended]
        live = sum(a.body["Source"] == "live" for a in during)
        after = [a for a in answers if a.sent > ended]
        proved = [a.body["Source"] == "validated" for a in after]
        again = next((a.sent - ended for place, a in enumerate(after) if len(proved) >= place + 20 and all(proved[place : place + 20])), None)
        is_well = during and live == len(during) and again is not None and again < 10
        when = f"{again:.2f} s" if again is not None else "never"
        return is_well, f"{live} of {len(during)} answers from memory meanwhile, validated again after: {when}"

    return check


def keeps_its_size(answers, marks, world):
    """From the first quarter on, memory grows by less than a fifth."""
    early, last = marks.sizes_kib[len(marks.sizes_kib) // 4], marks.sizes_kib[-1]
    return last < 1.2 * early + 1024, f"{early} KiB after a quarter, {last} KiB at the end"


SCENARIOS = {
    "steady": Scenario("A busy organisation: 300 calls a second.", [(300, 60)], checks=[is_validated(95)]),
    "burst": Scenario(
        "On the hour: from 50 to 1,000 calls a second, at once.",
        [(50, 10), (1000, 10), (50, 10)],
        checks=[is_validated(90)],
    ),
    "connections": Scenario("One connection per call, 200 a second.", [(200, 60)], keeps_connections=False, checks=[is_validated(95)]),
    "cutover": Scenario(
        "A ramp from 100 to 500 calls a second, with a cutover in its middle.",
        [(100, 10), (200, 10), (300, 20), (400, 10), (500, 10)],
        events=[(0.5, cut_over)],
        checks=[is_validated(90), follows_the_cutover],
    ),
    "slow-store": Scenario(
        "Every answer of the store takes 100 ms longer for a third of the time.",
        [(200, 60)],
        events=[(0.33, slow_down), (0.66, speed_up)],
        checks=[goes_on_without("store slow")],
    ),
    "no-store": Scenario(
        "The store is away for a third of the time.",
        [(200, 60)],
        events=[(0.33, cut), (0.66, mend)],
        checks=[goes_on_without("store down")],
    ),
    "soak": Scenario("An hour of 100 calls a second.", [(100, 3600)], checks=[is_validated(95), keeps_its_size]),
}
