//! What a browser sends of a form.

use axum::body::Body;
use http::HeaderMap;

use crate::http::body;
use crate::http::problem::{Kind, Problem};

/// Most bytes of a form: a reason of 500 characters, each of them escaped, and some more.
const MOST_BYTES: usize = 16 * 1024;

/// The fields of a form.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form.
    pub(super) async fn read(headers: &HeaderMap, form: Body) -> Result<Self, Problem> {
        if !body::is_form(headers) {
            let detail = "send the form as application/x-www-form-urlencoded, as browsers do";
            return Err(Problem::new(Kind::UnsupportedMediaType, detail));
        }
        Self::parse(&body::whole(form, MOST_BYTES).await?)
    }

    fn parse(body: &[u8]) -> Result<Self, Problem> {
        let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let mut names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            let detail = "a field of the form stands twice";
            return Err(Problem::new(Kind::BadRequest, detail));
        }
        Ok(Self(fields))
    }

    /// What stands in a field; nothing if it is not there.
    pub(super) fn field(&self, name: &str) -> &str {
        let mut fields = self.0.iter();
        fields
            .find_map(|(known, value)| (known == name).then_some(value.as_str()))
            .unwrap_or_default()
    }

    /// Whether a box is ticked.
    pub(super) fn is_ticked(&self, name: &str) -> bool {
        !self.field(name).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_and_none_stands_twice() {
        let form = Form::parse(b"reason=2.0+is+not+good%21&keep_calls=on").unwrap();
        assert_eq!(form.field("reason"), "2.0 is not good!");
        assert!(form.is_ticked("keep_calls") && !form.is_ticked("other"));
        assert_eq!(form.field("other"), "");
        assert!(Form::parse(b"a=1&b=2&a=3").is_err());
    }
}
