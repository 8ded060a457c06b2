//! JSON laid out for reading, otherwise untouched: members keep their order and numbers their digits, which a trip through
//! a parsed value would not promise.

/// Spaces per level.
const INDENT: usize = 2;

/// `json`, which must be valid, with one member or element per line.
pub(super) fn lay_out(json: &str) -> String {
    let mut laid_out = String::with_capacity(2 * json.len());
    let mut depth = 0;
    let mut is_text = false;
    let mut is_escaped = false;
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if is_text {
            laid_out.push(character);
            is_text = is_escaped || character != '"';
            is_escaped = character == '\\' && !is_escaped;
            continue;
        }
        match character {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                laid_out.push(character);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    laid_out.push(end);
                } else {
                    depth += 1;
                    start_line(&mut laid_out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                start_line(&mut laid_out, depth);
                laid_out.push(character);
            }
            ',' => {
                laid_out.push(',');
                start_line(&mut laid_out, depth);
            }
            ':' => laid_out.push_str(": "),
            _ => {
                is_text = character == '"';
                laid_out.push(character);
            }
        }
    }
    laid_out
}

fn start_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', INDENT * depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_like_any_pretty_json() {
        let value = serde_json::json!({
            "empty": {}, "none": [], "text": "a \"quoted\", {braced}: \\", "list": [1, [null, true], {"x": "\\\""}],
        });
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        assert_eq!(lay_out(&value.to_string()), pretty);
        assert_eq!(lay_out(&pretty), pretty);
    }

    #[test]
    fn order_and_digits_stay_as_they_came() {
        assert_eq!(
            lay_out(r#"{"z":1.50,"a":[ ]}"#),
            "{\n  \"z\": 1.50,\n  \"a\": []\n}"
        );
    }
}
