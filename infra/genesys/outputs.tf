output "flow_ids" {
  description = "The ids of the flows, by slot: what traffic-cop binds the slots to."
  value       = { for slot, flow in genesyscloud_flow.slot : slot => flow.id }
}

output "traffic_cop_flow_id" {
  description = "The id of the flow that the numbers point at."
  value       = genesyscloud_flow.traffic_cop.id
}

output "integration_id" {
  description = "The integration, for the kits of other environments."
  value       = local.integration_id
}

output "table_id" {
  description = "The data table, for the kits of other environments and for the mirror."
  value       = local.table_id
}

output "action_ids" {
  description = "The ids of the data actions."
  value       = { for name, action in genesyscloud_integration_action.traffic_cop : name => action.id }
}

# A list, so that names with any characters reach the command as they are: terraform output -json create_environment.
output "create_environment" {
  description = "The arguments that make the environment in traffic-cop."
  value = [
    "env", "create", local.kit.environment,
    "--blue-flow", "${genesyscloud_flow.slot["blue"].id}=${local.kit.flows.slots.blue.name}",
    "--green-flow", "${genesyscloud_flow.slot["green"].id}=${local.kit.flows.slots.green.name}",
    "--flow-version", local.kit.flows.slots.blue.flow_version,
    "--reason", "made by Terraform",
  ]
}
