# The plan for the example kit, with the provider's own schemas and nobody asked: `terraform test`.

mock_provider "genesyscloud" {}

variables {
  kit   = "./example"
  token = "tc_not_a_token"
}

run "everything_comes_from_the_kit" {
  command = apply

  assert {
    condition     = toset(keys(genesyscloud_integration_action.traffic_cop)) == toset(["Traffic Cop Main_IVR decide interface 1", "Traffic Cop Main_IVR report", "Traffic Cop Main_IVR variables interface 1"])
    error_message = "one action for each that the kit has"
  }
  assert {
    condition     = genesyscloud_integration_action.traffic_cop["Traffic Cop Main_IVR decide interface 1"].config_request[0].headers["Authorization"] == "Bearer $${credentials.token}"
    error_message = "templates of Velocity arrive as they are"
  }
  assert {
    condition     = endswith(genesyscloud_integration_action.traffic_cop["Traffic Cop Main_IVR decide interface 1"].config_request[0].request_url_template, "/v1/environments/Main_IVR/decisions?interface=1")
    error_message = "the interface is in the address"
  }
  assert {
    condition     = genesyscloud_integration_credential.traffic_cop[0].fields == tomap({ token = "tc_not_a_token" })
    error_message = "a bearer token has one field"
  }
  assert {
    condition     = length(genesyscloud_integration_custom_auth_action.traffic_cop) == 0
    error_message = "only OAuth has a custom auth action"
  }
  assert {
    condition     = genesyscloud_flow.slot["green"].filepath == "./example/green.yaml"
    error_message = "the first flows are the kit's"
  }
  assert {
    condition     = length(genesyscloud_architect_datatable_row.environment) == 0 && length(genesyscloud_architect_ivr.traffic_cop) == 0
    error_message = "a row and a call route are made when they are asked for"
  }
  assert {
    condition     = output.create_environment[2] == "Main_IVR" && endswith(output.create_environment[4], "=Main IVR Blue")
    error_message = "the environment is made with the flows that were made"
  }
}

run "a_row_and_a_route_if_asked_for" {
  command = apply

  variables {
    initial_row = true
    call_route  = "Main number"
    numbers     = ["+4930123456"]
  }

  assert {
    condition     = genesyscloud_architect_datatable_row.environment[0].key_value == "Main_IVR"
    error_message = "the key is the environment"
  }
  assert {
    condition     = jsondecode(genesyscloud_architect_datatable_row.environment[0].properties_json).Active_Slot == "blue"
    error_message = "the row begins with the default slot"
  }
  assert {
    condition     = genesyscloud_architect_ivr.traffic_cop[0].open_hours_flow_id == genesyscloud_flow.traffic_cop.id
    error_message = "the numbers lead to the Traffic Cop flow"
  }
}

run "what_is_there_is_used" {
  command = apply

  variables {
    integration_id = "9f86d081-884c-4d65-9a2f-eaa0c55ad015"
    table_id       = "0a4f6b1d-2c3e-4f7e-9b8e-7f3b3a523d0e"
  }

  assert {
    condition     = length(genesyscloud_integration.traffic_cop) == 0 && length(genesyscloud_architect_datatable.deployment_control) == 0
    error_message = "neither an integration nor a table is made beside those that are there"
  }
  assert {
    condition     = genesyscloud_integration_action.traffic_cop["Traffic Cop Main_IVR decide interface 1"].integration_id == "9f86d081-884c-4d65-9a2f-eaa0c55ad015"
    error_message = "the actions belong to the integration that is there"
  }
}

run "the_actions_of_an_earlier_kit_stay" {
  command = apply

  variables {
    kit          = "./tests/second"
    earlier_kits = ["./example"]
    first_kit    = "./example"
    token_name   = "genesys"
  }

  assert {
    condition = toset(keys(genesyscloud_integration_action.traffic_cop)) == toset([
      "Traffic Cop Main_IVR decide interface 0",
      "Traffic Cop Main_IVR decide interface 1",
      "Traffic Cop Main_IVR report",
      "Traffic Cop Main_IVR variables interface 0",
      "Traffic Cop Main_IVR variables interface 1",
    ])
    error_message = "flows keep the actions that they were made for"
  }
  assert {
    condition     = genesyscloud_flow.traffic_cop.filepath == "./tests/second/traffic-cop.yaml" && genesyscloud_flow.slot["blue"].filepath == "./example/blue.yaml"
    error_message = "the Traffic Cop flow is the new kit's, and nothing is published over a release"
  }
}

run "oauth_has_a_custom_auth_action" {
  command = apply

  variables {
    kit        = "./tests/second"
    token_name = "genesys"
  }

  assert {
    condition     = genesyscloud_integration_credential.traffic_cop[0].credential_type_name == "userDefinedOAuth"
    error_message = "the type of the kit's credential"
  }
  assert {
    condition     = genesyscloud_integration_credential.traffic_cop[0].fields["loginUrl"] == "https://decide.example/oauth/token"
    error_message = "access tokens come from the decisions listener"
  }
  assert {
    condition     = genesyscloud_integration_custom_auth_action.traffic_cop["action"].config_request[0].headers["Authorization"] == "Basic $encoding.base64(\"$${credentials.clientId}:$${credentials.clientSecret}\")"
    error_message = "the client proves itself as RFC 6749 says"
  }
}

run "oauth_needs_the_name_of_the_token" {
  command = plan

  variables {
    kit = "./tests/second"
  }

  expect_failures = [genesyscloud_integration_credential.traffic_cop]
}

run "a_number_that_is_none_is_refused" {
  command = plan

  variables {
    numbers = ["030 123456"]
  }

  expect_failures = [var.numbers]
}
