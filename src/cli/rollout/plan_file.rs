//! Plans from files, or built in.

use anyhow::Context as _;

use crate::cli::yaml;
use crate::domain::rollout::plan::Plan;

/// The plan called `name`: a built-in one, or else a file in YAML or JSON (which is YAML, too).
///
/// # Errors
/// There is no such file, or what it says is no plan; the error names the member.
pub(in crate::cli) fn load(name: &str) -> anyhow::Result<Plan> {
    if let Some(plan) = Plan::built_in(name) {
        return Ok(plan);
    }
    let built_in = Plan::BUILT_IN.join(" and ");
    let text = std::fs::read_to_string(name)
        .with_context(|| format!("cannot read the plan {name} (built in are {built_in})"))?;
    yaml::parse(&text).with_context(|| format!("{name} is not a plan"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Plan> {
        yaml::parse(text)
    }

    #[test]
    fn yaml_and_json_mean_the_same() {
        let yaml =
            "steps:\n  - weight: 12.5\n    gate: manual\n  - weight: 100\nlimits:\n  error: {}\n";
        let json = r#"{"steps": [{"weight": 12.5, "gate": "manual"}, {"weight": 100}], "limits": {"error": {}}}"#;
        assert_eq!(parse(yaml).unwrap(), parse(json).unwrap());
        assert_eq!(parse("{}").unwrap(), Plan::default());
    }

    #[test]
    fn errors_name_the_member() {
        for (text, member) in [
            (
                "steps: [{weight: 5}, {weight: 5}, {weight: 100}]",
                "steps[1].weight",
            ),
            ("steps: [{weight: 5.001}, {weight: 100}]", "steps[0].weight"),
            ("steps: [{weight: 100, bake: 5}]", "steps[0].bake"),
            (
                "limits: {abandon: {tolerance_points: high}}",
                "limits.abandon.tolerance_points",
            ),
            ("limits: {abandoned: {}}", "limits.abandoned"),
            ("maximum_minutes: 1", "maximum_minutes"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.starts_with(member), "{text}: {message}");
        }
    }
}
