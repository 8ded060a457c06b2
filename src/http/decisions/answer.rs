//! The answer on the wire.

use crate::domain::decision::{Caller, Compiled, Decision};
use crate::domain::ids::InterfaceNumber;
use crate::replica::Source;

/// Room for an answer with texts of usual length, but for variables.
const USUAL_LENGTH: usize = 384;

/// The flat object that Architect reads. Every member is always there: a missing one takes the call down the failure path.
pub(super) fn render(
    environment: &Compiled,
    decision: &Decision,
    interface: InterfaceNumber,
    source: Source,
) -> Vec<u8> {
    let slot = &environment.slots[decision.slot];
    let variables = environment.variables(interface);
    let mut json = Vec::with_capacity(USUAL_LENGTH + variables.len());
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
    put(truth(decision.flow_version_known));
    put(",\"Reason\":\"");
    put(decision.reason.as_str());
    put("\",");
    finish(&mut json, environment, interface, variables, source);
    json
}

/// The variables alone.
pub(super) fn render_variables(
    environment: &Compiled,
    caller: Caller,
    interface: InterfaceNumber,
    source: Source,
) -> Vec<u8> {
    let variables = environment.variables(interface);
    let mut json = Vec::with_capacity(USUAL_LENGTH + variables.len());
    json.extend_from_slice(b"{\"Flow_Version_Known\":");
    json.extend_from_slice(truth(caller.flow_version_known).as_bytes());
    json.push(b',');
    finish(&mut json, environment, interface, variables, source);
    json
}

/// What every answer ends with: what it is made from, and the variables of the interface.
fn finish(
    json: &mut Vec<u8>,
    environment: &Compiled,
    interface: InterfaceNumber,
    variables: &str,
    source: Source,
) {
    let mut put = |text: &str| json.extend_from_slice(text.as_bytes());
    put("\"Source\":\"");
    put(source.as_str());
    put("\",\"Schema_Version\":");
    put(itoa::Buffer::new().format(interface.0));
    put(",\"Revision\":");
    put(&environment.revision_text);
    put(variables);
    put("}");
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
