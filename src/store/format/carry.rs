//! Carrying members that this binary does not know from one state to the next.

use serde_json::Value;

/// Copies into `next` what `raw` says beyond `known`, where `known` is what this binary understands of `raw`.
///
/// Members of an object follow it by place, members of a list's elements follow the element that is still the same; an object
/// with another `label` or `id` is another thing and inherits nothing.
pub(super) fn unknown_members(raw: &Value, known: &Value, next: &mut Value) {
    match (raw, known, next) {
        (Value::Object(raw), Value::Object(known), Value::Object(next)) => {
            if ["label", "id"]
                .iter()
                .any(|name| known.get(*name) != next.get(*name))
            {
                return;
            }
            for (name, value) in raw {
                match (known.get(name), next.get_mut(name)) {
                    (Some(known), Some(next)) => unknown_members(value, known, next),
                    (None, None) => {
                        next.insert(name.clone(), value.clone());
                    }
                    // Known and gone now, or new here and understood otherwise there: this binary's word counts.
                    (Some(_), None) | (None, Some(_)) => {}
                }
            }
        }
        (Value::Array(raw), Value::Array(known), Value::Array(next))
            if raw.len() == known.len() =>
        {
            for element in next {
                if let Some(place) = known.iter().position(|known| known == element) {
                    element.clone_from(&raw[place]);
                }
            }
        }
        _ => {}
    }
}

/// Whether `raw` has members that `known`, what this binary understands of it, has not. Values are not compared: one may be
/// written in several ways.
pub(super) fn says_more(raw: &Value, known: &Value) -> bool {
    match (raw, known) {
        (Value::Object(raw), Value::Object(known)) => {
            raw.iter().any(|(name, value)| match known.get(name) {
                Some(known) => says_more(value, known),
                None => !says_nothing(value),
            })
        }
        (Value::Array(raw), Value::Array(known)) if raw.len() == known.len() => {
            let mut pairs = raw.iter().zip(known);
            pairs.any(|(raw, known)| says_more(raw, known))
        }
        _ => false,
    }
}

/// Whether leaving a member with this value out says the same.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn carried(raw: Value, known: Value, mut next: Value) -> Value {
        unknown_members(&raw, &known, &mut next);
        next
    }

    #[test]
    fn unknown_members_stay_at_every_depth() {
        let raw = json!({"a": 1, "new": [1], "slot": {"x": 1, "more": true}});
        let known = json!({"a": 1, "slot": {"x": 1}});
        let next = json!({"a": 2, "slot": {"x": 3}});
        assert_eq!(
            carried(raw, known, next),
            json!({"a": 2, "new": [1], "slot": {"x": 3, "more": true}})
        );
    }

    #[test]
    fn a_thing_with_another_label_inherits_nothing() {
        let raw = json!({"version": {"label": "1", "signed": true}});
        let known = json!({"version": {"label": "1"}});
        assert_eq!(
            carried(raw, known, json!({"version": {"label": "2"}})),
            json!({"version": {"label": "2"}})
        );
    }

    #[test]
    fn elements_of_a_list_are_followed_by_what_is_known_of_them() {
        let raw = json!([{"label": "1", "n": 1}, {"label": "2", "n": 2}]);
        let known = json!([{"label": "1"}, {"label": "2"}]);
        assert_eq!(
            carried(raw, known, json!([{"label": "2"}, {"label": "3"}])),
            json!([{"label": "2", "n": 2}, {"label": "3"}])
        );
    }

    #[test]
    fn a_known_member_that_is_gone_does_not_come_back() {
        let raw = json!({"claim": {"by": "x"}});
        assert_eq!(carried(raw.clone(), raw, json!({})), json!({}));
    }

    #[test]
    fn a_member_that_is_not_known_says_more_unless_it_is_empty() {
        let known = json!({"a": 1, "slots": {"blue": {"flow": "f"}}, "list": [{"label": "1"}]});
        for same in [
            json!({"a": 1.5, "slots": {"blue": {"flow": "g"}}, "list": [{"label": "2"}]}),
            json!({"a": 1, "none": null, "empty": [], "slots": {"blue": {"values": {}}}}),
        ] {
            assert!(!says_more(&same, &known), "{same}");
        }
        for more in [
            json!({"A": 1}),
            json!({"slots": {"red": {"flow": "f"}}}),
            json!({"slots": {"blue": {"flows": "f"}}}),
            json!({"list": [{"label": "1", "n": 0}]}),
        ] {
            assert!(says_more(&more, &known), "{more}");
        }
    }
}
