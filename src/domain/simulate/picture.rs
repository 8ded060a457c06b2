//! A report as a picture: the evidence of some runs over time.

use std::fmt::Write as _;
use std::time::Duration;

use super::report::words::percent;
use super::trial::Ending;
use super::{Report, Scenario};
use crate::domain::judge::mixture::EValue;
use crate::domain::judge::scale;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 48.0;
/// An SVG document that shows how the evidence of harm went in some of the report's runs, against the pause and abort lines.
/// It needs no style sheet and no font of its own.
#[must_use]
pub fn svg(scenario: &Scenario, report: &Report) -> String {
    let longest = report
        .traces
        .iter()
        .filter_map(|(_, trace)| trace.last())
        .map(|(time, _)| *time)
        .max();
    let frame = Frame {
        longest: longest.unwrap_or(Duration::from_mins(1)),
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    Frame::write_title(&mut svg, report);
    frame.write_axes(&mut svg);
    for (ending, trace) in &report.traces {
        frame.write_trace(&mut svg, *ending, trace);
    }
    let limit = scenario.limit();
    Frame::write_line(&mut svg, limit.pause_line(), "pause", "#b26a00");
    if let Some(line) = limit.abort_line() {
        Frame::write_line(&mut svg, line, "abort", "#b00020");
    }
    svg.push_str("</svg>\n");
    svg
}

/// The plane that evidence is drawn on: time to the right, powers of ten upwards.
struct Frame {
    longest: Duration,
}

impl Frame {
    fn x(&self, time: Duration) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * time.as_secs_f64() / self.longest.as_secs_f64()
    }

    /// Where this share of the plane's height lies above.
    fn y(depth: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * depth
    }

    fn write_title(svg: &mut String, report: &Report) {
        let Report {
            metric,
            calls_per_hour,
            active_bad_percent: blue,
            candidate_bad_percent: green,
            ..
        } = report;
        let title = format!(
            "Evidence of harm: {metric}, blue {blue} %, green {green} %, {calls_per_hour} calls per hour"
        );
        let stopped = percent(report.stopped_for_harm());
        let promoted = percent(report.endings.promoted);
        let subtitle = format!(
            "{} of {} rollouts drawn. Stopped for harm: {stopped} %. Promoted: {promoted} %.",
            report.traces.len(),
            report.runs
        );
        put(
            svg,
            &format!(
                "<text x=\"{LEFT}\" y=\"22\" font-size=\"15\" fill=\"#1b1b1b\">{title}</text>"
            ),
        );
        put(
            svg,
            &format!("<text x=\"{LEFT}\" y=\"40\" fill=\"#5a5a5a\">{subtitle}</text>"),
        );
    }

    fn write_axes(&self, svg: &mut String) {
        let right = WIDTH - RIGHT;
        for (depth, label) in scale::lines() {
            let y = Self::y(depth);
            put(
                svg,
                &format!("<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#e4e4e4\"/>"),
            );
            let (x, y) = (LEFT - 8.0, y + 4.0);
            put(
                svg,
                &format!(
                    "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"#5a5a5a\">{label}</text>"
                ),
            );
        }
        let below = HEIGHT - BOTTOM + 18.0;
        for part in 0..=4_u32 {
            let time = self.longest * part / 4;
            let (x, minutes) = (self.x(time), time.as_secs() / 60);
            put(
                svg,
                &format!(
                    "<text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\" fill=\"#5a5a5a\">{minutes} min</text>"
                ),
            );
        }
    }

    fn write_trace(&self, svg: &mut String, ending: Ending, trace: &[(Duration, f64)]) {
        let colour = match ending {
            Ending::Promoted => "#2e7d32",
            Ending::Paused(_) => "#b26a00",
            Ending::Aborted(_) => "#b00020",
        };
        let points = trace.iter().map(|(time, ln)| {
            format!(
                "{:.1},{:.1}",
                self.x(*time),
                Self::y(scale::depth(EValue::from_ln(*ln)))
            )
        });
        let mut points: Vec<String> = points.collect();
        points.dedup();
        let points = points.join(" ");
        put(
            svg,
            &format!(
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"0.45\"/>"
            ),
        );
    }

    fn write_line(svg: &mut String, line: EValue, name: &str, colour: &str) {
        let (y, right) = (Self::y(scale::depth(line)), WIDTH - RIGHT);
        put(
            svg,
            &format!(
                "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"{colour}\" stroke-dasharray=\"6 4\"/>"
            ),
        );
        put(
            svg,
            &format!(
                "<text x=\"{}\" y=\"{:.1}\" fill=\"{colour}\">{name}, E = {line}</text>",
                right + 6.0,
                y + 4.0
            ),
        );
    }
}

/// Appends a line.
fn put(svg: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(svg, "{line}");
}
