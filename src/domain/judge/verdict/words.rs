//! Verdicts in words and numbers.

use std::fmt;

use super::{Data, Finding, Level, MetricFinding, Verdict};
use crate::domain::judge::arm::{Arm, Tally};
use crate::domain::slot::Slot;

impl fmt::Display for Verdict {
    /// One line: evidence against its line, calls against the minimum, the split, and whatever else stands out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.metrics {
            finding.write(self.candidate, f)?;
        }
        if let Some(finding) = self
            .fast_lane
            .filter(|finding| finding.level() > Level::Sound)
        {
            write!(f, "fast lane: {finding}; ")?;
        }
        write!(
            f,
            "{} of {} matured {} calls; ",
            self.calls.usable, self.calls.minimum, self.candidate
        )?;
        match self.decisions.level() {
            Level::Sound => f.write_str("split as set")?,
            Level::Pause | Level::Abort => {
                write!(f, "calls are not split as set: {}", self.decisions)?;
            }
        }
        if self.reports.level() > Level::Sound {
            write!(
                f,
                "; one version reports less than the other: {}",
                self.reports
            )?;
        }
        match self.data {
            Data::Fresh => Ok(()),
            data => write!(f, "; {data}"),
        }
    }
}

impl MetricFinding {
    fn write(&self, candidate: Slot, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.metric, self.harm)?;
        if self.source.is_approximate() {
            f.write_str(" (approximate, from analytics)")?;
        }
        for arm in [Arm::Candidate, Arm::Active] {
            let Tally { calls, bad } = self.seen[arm];
            write!(f, ", {bad} of {calls} {} calls bad", arm.slot(candidate))?;
        }
        f.write_str("; ")?;
        if self.late.level() > Level::Sound {
            write!(f, "{} known too late: {}; ", self.metric, self.late)?;
        }
        match self.certificate {
            Some(certificate) if certificate.is_issued() => {
                write!(f, "{} certified harmless; ", self.metric)
            }
            Some(certificate) => write!(
                f,
                "certificate E = {} of {}; ",
                certificate.e, certificate.line
            ),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Finding {
    /// `E = 3.1 of 20` below the line, `E = 23 reached 20` from it on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = match self.level() {
            Level::Abort => self.abort_line,
            Level::Sound | Level::Pause => self.pause_line.or(self.abort_line),
        };
        let word = if self.level() == Level::Sound {
            "of"
        } else {
            "reached"
        };
        match line {
            Some(line) => write!(f, "E = {} {word} {line}", self.e),
            None => write!(f, "E = {}", self.e),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("data is fresh"),
            Self::NoCalls(slot) => write!(f, "no {slot} call has matured in this step"),
            Self::Unreported {
                slot,
                reported,
                matured,
            } => {
                write!(
                    f,
                    "only {reported} of {matured} matured {slot} calls reported how they ended"
                )
            }
            Self::NoIntervals(metric) => write!(
                f,
                "analytics has no {metric} counts of both versions in this step"
            ),
            Self::Stale(minutes) => write!(f, "the newest data is {minutes} minutes old"),
            Self::Analytics(trouble) => trouble.fmt(f),
        }
    }
}
