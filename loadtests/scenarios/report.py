"""A report that a browser shows without anything else: a table, and answers over time as SVG."""

from html import escape
from math import ceil, log10

WIDTH, HEIGHT, LEFT, BOTTOM = 900, 260, 76, 30
COLOURS = {"validated": "#2a78d6", "live": "#e8a33d", "last-good": "#8d59b3", "default": "#777777", "fault": "#d63a3a"}


def percentile(values, percent):
    """The smallest of the sorted `values` that so many percent do not exceed."""
    return values[max(0, ceil(len(values) * percent / 100) - 1)]


def html(name, scenario, summary, answers, marks):
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>" for key, value in summary["figures"].items())
    checks = "".join(
        f"<tr><th>{'✓' if check['ok'] else '✗'} {escape(check['name'])}</th><td>{escape(check['found'])}</td></tr>"
        for check in summary["checks"]
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>traffic-cop: {escape(name)}</title>
<style>body{{font:15px/1.5 system-ui;margin:2em;max-width:60em}}th{{text-align:left;padding-right:2em;font-weight:normal}}
td{{font-variant-numeric:tabular-nums}}text{{font:12px system-ui}}</style>
<h1>{escape(name)}: {"passed" if summary["ok"] else "FAILED"}</h1><p>{escape(scenario.says)} Seed {summary["seed"]}.</p>
<table>{checks}</table><h2>Answers</h2>{chart(answers, marks)}<table>{rows}</table></html>
"""


def chart(answers, marks):
    """p50, p99 and the slowest of every second on a logarithmic scale, the colours of their sources below, events as lines."""
    start = answers[0].sent
    seconds = {}
    for answer in answers:
        seconds.setdefault(int(answer.sent - start), []).append(answer)
    last = max(seconds) + 1

    def x(second):
        return LEFT + (WIDTH - LEFT) * second / last

    def y(ms):
        # From 0.1 ms to 10 s, five decades.
        return (HEIGHT - BOTTOM) * (1 - (log10(min(max(ms, 0.1), 10_000)) + 1) / 5)

    parts = []
    for ms in (0.1, 1, 10, 100, 1000, 10000):
        parts.append(f'<path d="M{LEFT} {y(ms):.1f}H{WIDTH}" stroke="#ddd"/><text x="0" y="{y(ms) + 4:.1f}">{ms:g} ms</text>')
    for percent, colour, label in ((50, "#2a78d6", "p50"), (99, "#e8a33d", "p99"), (100, "#d63a3a", "slowest")):
        points = []
        for second in sorted(seconds):
            took = sorted(answer.took * 1000 for answer in seconds[second])
            points.append(f"{x(second + 0.5):.1f},{y(percentile(took, percent)):.1f}")
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{" ".join(points)}"><title>{label}</title></polyline>')
        parts.append(f'<text x="{LEFT + 90 * (percent == 99) + 180 * (percent == 100)}" y="{HEIGHT + 14}" fill="{colour}">{label}</text>')
    for second in sorted(seconds):
        at, all_of_it = x(second), len(seconds[second])
        for source, colour in COLOURS.items():
            count = sum((a.body.get("Source") if not a.fault else "fault") == source for a in seconds[second])
            width = (x(second + 1) - x(second)) * count / all_of_it
            if count:
                parts.append(f'<rect x="{at:.1f}" y="{HEIGHT - 18}" width="{width:.1f}" height="12" fill="{colour}"><title>{count} {source}</title></rect>')
            at += width
    for name, (begun, ended) in marks.spans.items():
        for when in {begun, ended or begun}:
            parts.append(f'<path d="M{x(when - start):.1f} 0V{HEIGHT - 20}" stroke="#444" stroke-dasharray="3"/>')
        parts.append(f'<text x="{x(begun - start) + 4:.1f}" y="12">{escape(name)}</text>')
    legend = "".join(f'<text x="{360 + 110 * place}" y="{HEIGHT + 14}" fill="{colour}">{source}</text>' for place, (source, colour) in enumerate(COLOURS.items()))
    return f'<svg viewBox="0 -14 {WIDTH} {HEIGHT + 34}" role="img">{"".join(parts)}{legend}</svg>'
