# Everything that an organisation of Genesys Cloud needs to have the calls of one environment decided by traffic-cop. What is in
# it comes from the exported files: nothing is written twice.

locals {
  kit = jsondecode(file("${var.kit}/kit.json"))

  # By their names, which tell contracts apart: an action that flows still use stays beside the one of a new interface.
  actions = merge([
    for kit in concat(var.earlier_kits, [var.kit]) : {
      for action in [
        for file in values(jsondecode(file("${kit}/kit.json")).actions) : jsondecode(file("${kit}/${file}"))
      ] : action.name => action
    }
  ]...)

  credential_types = {
    bearer  = var.user_defined_credential_type
    api_key = var.user_defined_credential_type
    basic   = "basicAuth"
    oauth   = "userDefinedOAuth"
  }

  # Under the names of the kit's credential; which of them are sent is the kit's to say.
  credential_values = {
    token        = var.token
    apiKey       = var.token
    userName     = var.token_name
    password     = var.token
    clientId     = var.token_name
    clientSecret = var.token
    loginUrl     = local.kit.credential.login_url
  }

  integration_id = var.integration_id != null ? var.integration_id : one(genesyscloud_integration.traffic_cop[*].id)
  table_id       = var.table_id != null ? var.table_id : one(genesyscloud_architect_datatable.deployment_control[*].id)
}

resource "genesyscloud_integration_credential" "traffic_cop" {
  count = var.integration_id == null ? 1 : 0

  name                 = local.kit.integration
  credential_type_name = local.credential_types[local.kit.credential.kind]
  fields               = { for field in local.kit.credential.fields : field => local.credential_values[field] }

  lifecycle {
    precondition {
      condition     = var.token_name != "" || !contains(["basic", "oauth"], local.kit.credential.kind)
      error_message = "A credential of this type names the token: set token_name."
    }
  }
}

resource "genesyscloud_integration" "traffic_cop" {
  count = var.integration_id == null ? 1 : 0

  integration_type = "custom-rest-actions"
  intended_state   = "ENABLED"

  config {
    name       = local.kit.integration
    notes      = "Calls are decided by traffic-cop."
    properties = jsonencode({})
    advanced   = jsonencode({})
    # The key is basicAuth for every type of credential.
    credentials = {
      basicAuth = genesyscloud_integration_credential.traffic_cop[0].id
    }
  }
}

# Genesys Cloud makes this action itself, for credentials of the type User Defined (OAuth); only its request and response are set.
resource "genesyscloud_integration_custom_auth_action" "traffic_cop" {
  for_each = var.integration_id == null && local.kit.credential.kind == "oauth" ? {
    action = jsondecode(file("${var.kit}/${local.kit.credential.custom_auth}"))
  } : {}

  integration_id = local.integration_id

  config_request {
    request_url_template = each.value.config.request.requestUrlTemplate
    request_type         = each.value.config.request.requestType
    request_template     = each.value.config.request.requestTemplate
    headers              = each.value.config.request.headers
  }

  config_response {
    translation_map          = each.value.config.response.translationMap
    translation_map_defaults = each.value.config.response.translationMapDefaults
    success_template         = each.value.config.response.successTemplate
  }
}

# A contract that changes makes another action with another id. A kit never changes the contract under a name.
resource "genesyscloud_integration_action" "traffic_cop" {
  for_each = local.actions

  name                   = each.value.name
  category               = local.kit.integration
  integration_id         = local.integration_id
  secure                 = each.value.secure
  config_timeout_seconds = local.kit.action_timeout_seconds
  contract_input         = jsonencode(each.value.contract.input.inputSchema)
  contract_output        = jsonencode(each.value.contract.output.successSchema)

  config_request {
    request_url_template = each.value.config.request.requestUrlTemplate
    request_type         = each.value.config.request.requestType
    request_template     = each.value.config.request.requestTemplate
    headers              = each.value.config.request.headers
  }

  config_response {
    translation_map          = each.value.config.response.translationMap
    translation_map_defaults = each.value.config.response.translationMapDefaults
    success_template         = each.value.config.response.successTemplate
  }

  depends_on = [genesyscloud_integration_custom_auth_action.traffic_cop]
}

# Where the Traffic Cop flow looks when the service does not answer. Columns cannot be removed once they are there.
resource "genesyscloud_architect_datatable" "deployment_control" {
  count = var.table_id == null ? 1 : 0

  name        = local.kit.table.name
  division_id = var.division_id
  description = "Which slot takes calls, for when traffic-cop cannot be asked. Its rows are written by traffic-cop."

  properties {
    name  = "key"
    type  = "string"
    title = "Environment_State"
  }
  properties {
    name  = "Active_Flow_ID"
    type  = "string"
    title = "Active_Flow_ID"
  }
  properties {
    name  = "Active_Slot"
    type  = "string"
    title = "Active_Slot"
  }
  properties {
    name  = "Revision"
    type  = "integer"
    title = "Revision"
  }
  properties {
    name  = "Traffic_Weight"
    type  = "number"
    title = "Traffic_Weight"
  }
}

# A beginning, for organisations that do not mirror. Whatever stands there later is not Terraform's: a mirror owns its rows.
resource "genesyscloud_architect_datatable_row" "environment" {
  count = var.initial_row ? 1 : 0

  datatable_id = local.table_id
  key_value    = local.kit.table.key
  properties_json = jsonencode({
    Active_Flow_ID = genesyscloud_flow.slot[local.kit.default_slot].id
    Active_Slot    = local.kit.default_slot
    Revision       = 0
    Traffic_Weight = 0
  })

  lifecycle {
    ignore_changes = [properties_json]
  }
}

# The first flows. From then on a pipeline publishes into them. Terraform publishes again whenever such a file changes, which would
# throw a release away: hence a kit of their own, which stays as it was.
resource "genesyscloud_flow" "slot" {
  for_each = local.kit.flows.slots

  filepath = "${coalesce(var.first_kit, var.kit)}/${each.value.file}"

  lifecycle {
    ignore_changes = [filepath]
  }

  depends_on = [genesyscloud_integration_action.traffic_cop]
}

# Names the flows, the actions and the table, so all of them have to be there and the flows published.
resource "genesyscloud_flow" "traffic_cop" {
  filepath = "${var.kit}/${local.kit.flows.traffic_cop.file}"

  depends_on = [
    genesyscloud_architect_datatable.deployment_control,
    genesyscloud_flow.slot,
    genesyscloud_integration_action.traffic_cop,
  ]
}

resource "genesyscloud_architect_ivr" "traffic_cop" {
  count = var.call_route == null ? 0 : 1

  name               = var.call_route
  description        = "Leads to traffic-cop, which decides between blue and green of ${local.kit.environment}."
  division_id        = var.division_id
  dnis               = var.numbers
  open_hours_flow_id = genesyscloud_flow.traffic_cop.id
}
