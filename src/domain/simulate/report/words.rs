//! Reports as plain text.

use std::fmt;

use super::{Detection, Quantiles, Report, StepReport};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_scenario(f)?;
        self.write_endings(f)?;
        if let Some(detection) = &self.detection {
            detection.write(self.is_harmful, f)?;
        }
        if let Some(quantiles) = &self.minutes_to_promotion {
            writeln!(f, "Promoted after {quantiles} minutes.")?;
        }
        self.write_steps(f)?;
        for note in &self.notes {
            writeln!(f, "Note: {note}.")?;
        }
        self.advice
            .as_ref()
            .map_or(Ok(()), |advice| write!(f, "\n{advice}"))
    }
}

impl Report {
    fn write_scenario(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            runs,
            calls_per_hour,
            metric,
            active_bad_percent: blue,
            candidate_bad_percent: green,
            ..
        } = self;
        writeln!(
            f,
            "{runs} rollouts at {calls_per_hour} calls per hour; {metric}: blue {blue} %, green {green} %."
        )?;
        let meaning = if self.is_harmful {
            "Green is worse than the plan tolerates: it should be stopped."
        } else {
            "Green is as good as the plan asks for: stopping it would be a false alarm."
        };
        writeln!(f, "{meaning}\n")
    }

    fn write_endings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endings = [
            ("promoted", self.endings.promoted),
            ("paused for harm", self.endings.paused_for_harm),
            ("aborted for harm", self.endings.aborted_for_harm),
            ("out of time", self.endings.out_of_time),
            ("stopped otherwise", self.endings.stopped_otherwise),
        ];
        for (name, share) in endings {
            writeln!(f, "  {name:<18}{:>7} %", percent(share))?;
        }
        writeln!(f)
    }

    fn write_steps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n  weight   reached   stopped   minutes     calls   calls to detect   extra bad calls"
        )?;
        self.steps.iter().try_for_each(|step| step.write(f))
    }
}

impl Detection {
    fn write(&self, is_harmful: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if is_harmful {
            "Stopped for harm"
        } else {
            "False alarms"
        };
        writeln!(f, "{what} in {} % of rollouts, after", percent(self.share))?;
        writeln!(f, "  {} minutes,", self.minutes)?;
        writeln!(f, "  {} calls,", self.calls)?;
        writeln!(f, "  {} of them to green.", self.candidate_calls)
    }
}

impl StepReport {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detect = self
            .calls_to_detect
            .map_or_else(|| "-".to_owned(), |calls| format!("{calls:.0}"));
        let Self {
            weight,
            minutes,
            calls,
            extra_bad_calls,
            ..
        } = self;
        let (reached, stopped) = (percent(self.reached), percent(self.stopped_for_harm));
        let weight = weight.to_string();
        writeln!(
            f,
            "  {weight:>4} %{reached:>8} %{stopped:>8} %{minutes:>10.0}{calls:>10.0}{detect:>18}{extra_bad_calls:>18.1}"
        )
    }
}

impl fmt::Display for Quantiles {
    /// The median, and the range of the middle eight in ten.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} ({:.0} to {:.0})", self.median, self.p10, self.p90)
    }
}

/// A share in percent, with as many decimals as it takes to tell it from nothing.
pub(in crate::domain::simulate) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent > 0.0 && percent < 0.95 {
        format!("{percent:.2}")
    } else {
        format!("{percent:.1}")
    }
}
