//! The answer on the wire.

use crate::domain::decision::{Compiled, Decision};
use crate::domain::ids::InterfaceNumber;
use crate::replica::Source;

/// Room for an answer with texts of usual length.
const USUAL_LENGTH: usize = 384;

/// The flat object that Architect reads. Every member is always there: a missing one takes the call down the failure path.
pub(super) fn render(
    environment: &Compiled,
    decision: &Decision,
    interface: InterfaceNumber,
    source: Source,
) -> Vec<u8> {
    let slot = &environment.slots[decision.slot];
    let mut json = Vec::with_capacity(USUAL_LENGTH);
    let mut put = |text: &str| json.extend_from_slice(text.as_bytes());
    put("{\"Active_Flow_ID\":");
    put(&slot.flow_id);
    put(",\"Active_Flow_Name\":");
    put(&slot.flow_name);
    put(",\"Slot\":\"");
    put(decision.slot.as_str());
    put("\",\"Flow_Version\":");
    put(&slot.flow_version);
    put(",\"Traffic_Weight\":");
    put(&environment.weight_text);
    put(",\"Flow_Version_Known\":");
    put(if decision.flow_version_known {
        "true"
    } else {
        "false"
    });
    put(",\"Reason\":\"");
    put(decision.reason.as_str());
    put("\",\"Source\":\"");
    put(source.as_str());
    put("\",\"Schema_Version\":");
    put(itoa::Buffer::new().format(interface.0));
    put(",\"Revision\":");
    put(&environment.revision_text);
    put("}");
    json
}
