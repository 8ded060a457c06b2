//! Pictures: how the evidence of harm went over time against the lines at which it has consequences; calls by the minute.
//!
//! Geometry is worked out here and drawn by the templates; what colour a line has says the style sheet.

use jiff::Timestamp;

use super::chapter::Chapter;
use super::words::{count, span};
use crate::domain::judge::metric::Metric;
use crate::domain::judge::mixture::EValue;
use crate::domain::judge::scale;
use crate::domain::judge::verdict::MetricFinding;
use crate::domain::rollout::Rollout;
use crate::domain::slot::BySlot;
use crate::evidence::Sample;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 26.0;
/// How the evidence of harm in one metric went.
#[derive(Debug)]
pub(super) struct Picture {
    /// It in words.
    pub(super) label: String,
    pub(super) grid: Vec<Mark>,
    pub(super) times: Vec<Mark>,
    /// Where the weight changed, and to what.
    pub(super) steps: Vec<Mark>,
    pub(super) pause: Option<Mark>,
    pub(super) abort: Option<Mark>,
    pub(super) points: String,
    /// Where it stands now.
    pub(super) end: Option<(String, String)>,
}

/// A line with a label.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) at: String,
    pub(super) label: String,
}

impl Picture {
    pub(super) fn of(
        finding: &MetricFinding,
        chapter: Option<&Chapter>,
        samples: &[Sample],
        now: Timestamp,
    ) -> Self {
        let line = trace(finding, chapter, samples, now);
        let frame = Frame::of(&line);
        let points: Vec<_> = line
            .iter()
            .map(|(at, e)| (number(frame.x(*at)), number(y(scale::depth(*e)))))
            .collect();
        let mark = |line: Option<EValue>, what: &str| {
            line.map(|line| Mark {
                at: number(y(scale::depth(line))),
                label: format!("{what} {line}"),
            })
        };
        let mut said = format!("Evidence of harm, {}: {}", finding.metric, finding.harm);
        if let (Some((_, first)), Some((_, last))) = (line.first(), line.last()) {
            said += &format!(
                "; it began at {first} and is {last} after {}",
                span(frame.length())
            );
        }
        Self {
            label: said,
            grid: scale::lines()
                .map(|(depth, label)| Mark {
                    at: number(y(depth)),
                    label: label.to_owned(),
                })
                .collect(),
            times: frame.times(),
            steps: steps(chapter, &frame),
            pause: mark(finding.harm.pause_line, "pause"),
            abort: mark(finding.harm.abort_line, "abort"),
            end: points.last().cloned(),
            points: points
                .iter()
                .map(|(x, y)| format!("{x},{y}"))
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

/// What the evidence was, moment by moment: as committed since the rollout began, as heard here, and as it is.
fn trace(
    finding: &MetricFinding,
    chapter: Option<&Chapter>,
    samples: &[Sample],
    now: Timestamp,
) -> Vec<(Timestamp, EValue)> {
    let metric = finding.metric;
    let committed = chapter.into_iter().flat_map(Chapter::of_rollout);
    let committed = committed.filter_map(|entry| {
        let rollout = entry.state.as_ref()?.rollout.as_deref()?;
        Some(Sample::of(&rollout.record, entry.at))
    });
    let of_metric = |sample: &Sample, metric: Metric| Some((sample.at, sample.harm[metric]?));
    let mut trace: Vec<_> = committed
        .chain(samples.iter().copied())
        .filter_map(|sample| of_metric(&sample, metric))
        .collect();
    trace.push((now, finding.harm.e));
    trace.sort_by_key(|(at, _)| *at);
    trace.dedup();
    trace
}

/// Where the weight changed.
fn steps(chapter: Option<&Chapter>, frame: &Frame) -> Vec<Mark> {
    let entries = chapter.into_iter().flat_map(Chapter::of_rollout);
    let mut entered = None;
    let mut marks = Vec::new();
    for entry in entries {
        let rollout: Option<&Rollout> = entry
            .state
            .as_ref()
            .and_then(|state| state.rollout.as_deref());
        let Some(rollout) = rollout else { continue };
        let weight = rollout.weight();
        if entered.replace(weight) != Some(weight) {
            marks.push(Mark {
                at: number(frame.x(entry.at)),
                label: format!("{weight} %"),
            });
        }
    }
    marks
}

/// The time that is drawn.
struct Frame {
    from: Timestamp,
    until: Timestamp,
}

impl Frame {
    fn of(line: &[(Timestamp, EValue)]) -> Self {
        let times = || line.iter().map(|(at, _)| *at);
        Self {
            from: times().min().unwrap_or(Timestamp::UNIX_EPOCH),
            until: times().max().unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    fn length(&self) -> std::time::Duration {
        self.until.duration_since(self.from).unsigned_abs()
    }

    fn x(&self, at: Timestamp) -> f64 {
        let passed = at.duration_since(self.from).as_secs_f64();
        let part = passed / self.length().as_secs_f64().max(1.0);
        LEFT + (WIDTH - LEFT - RIGHT) * part.clamp(0.0, 1.0)
    }

    fn times(&self) -> Vec<Mark> {
        let time = |part: u32| {
            let at = self.from.checked_add(self.length() * part / 3);
            let at = at.unwrap_or(self.until);
            Mark {
                at: number(self.x(at)),
                label: at.strftime("%H:%M").to_string(),
            }
        };
        if self.length().is_zero() {
            return vec![time(0)];
        }
        (0..=3).map(time).collect()
    }
}

/// Where this share of the picture's height lies above.
fn y(depth: f64) -> f64 {
    TOP + (HEIGHT - TOP - BOTTOM) * depth
}

fn number(place: f64) -> String {
    format!("{place:.1}")
}

/// The calls of an hour, minute by minute.
#[derive(Debug)]
pub(super) struct CallsPicture {
    /// It in words.
    pub(super) label: String,
    pub(super) minutes: Vec<Minute>,
    /// The most calls of a minute.
    pub(super) most: String,
}

/// The calls of a minute: columns of blue and, above, green.
#[derive(Debug)]
pub(super) struct Minute {
    pub(super) x: usize,
    /// Where blue begins, and how high it is; the same of green.
    pub(super) blue: (String, String),
    pub(super) green: (String, String),
}

/// Height of the columns.
const COLUMNS: f64 = 100.0;
/// From one column to the next.
const COLUMN: usize = 12;

impl CallsPicture {
    /// Of the calls of each minute, the oldest first.
    pub(super) fn of(minutes: &[BySlot<u64>]) -> Self {
        let sum = |calls: &BySlot<u64>| calls.blue + calls.green;
        let most = minutes.iter().map(sum).max().unwrap_or(0);
        let total = |count: fn(&BySlot<u64>) -> u64| minutes.iter().map(count).sum::<u64>();
        let high = |calls: u64| COLUMNS * calls as f64 / most.max(1) as f64;
        let columns = minutes.iter().enumerate().map(|(place, calls)| {
            let (blue, green) = (high(calls.blue), high(calls.green));
            Minute {
                x: place * COLUMN,
                blue: (number(COLUMNS - blue), number(blue)),
                green: (number(COLUMNS - blue - green), number(green)),
            }
        });
        Self {
            label: format!(
                "Calls of the last hour by the minute: {} to blue and {} to green in all; at most {} in a minute",
                count(total(|calls| calls.blue)),
                count(total(|calls| calls.green)),
                count(most)
            ),
            minutes: columns.collect(),
            most: count(most),
        }
    }
}
