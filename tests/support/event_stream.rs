//! Server-sent events, read the way that a browser reads them.

use serde_json::Value;

/// What came between two empty lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    /// The id that a client would resume with from here on.
    pub(crate) id: Option<u64>,
    /// Null of a mark: an id without data, which is no event to anyone.
    pub(crate) data: Value,
}

/// Takes the first whole event out of `text`.
pub(crate) fn take(text: &mut String) -> Option<Event> {
    let end = text.find("\n\n")?;
    let block: String = text.drain(..end + 2).collect();
    let mut event = Event::default();
    for line in block.lines().filter(|line| !line.is_empty()) {
        match line.split_once(": ") {
            Some(("event", name)) => event.name = name.to_owned(),
            Some(("id", id)) => event.id = Some(id.parse().expect("a number")),
            Some(("data", data)) => event.data = serde_json::from_str(data).expect("JSON"),
            Some(("", _comment)) => {}
            _ => panic!("no line of an event: {line}"),
        }
    }
    Some(event)
}
