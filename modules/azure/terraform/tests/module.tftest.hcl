mock_provider "azurerm" {}
mock_provider "azuread" {}
mock_provider "azapi" {}

variables {
  subscription_id = "11111111-1111-1111-1111-111111111111"
  tenant_id       = "22222222-2222-2222-2222-222222222222"
  name            = "contoso"
  regions         = { weu = { location = "westeurope" }, neu = { location = "northeurope" } }
  primary_region  = "weu"
}

run "sas" {
  assert {
    condition     = sort(keys(output.aws_configuration.weu.event_hub_secret)) == tolist(["connectionString", "consumerGroup", "eventHubName", "eventHubNamespace"])
    error_message = "the secret's keys are not the contract's"
  }
  assert {
    condition     = output.aws_configuration.weu.event_hub_secret.connectionString == azurerm_eventhub_authorization_rule.listen["weu"].primary_connection_string
    error_message = "the secret holds another key than the listening rule's"
  }
  assert {
    condition = alltrue([for rule in azurerm_eventhub_authorization_rule.listen : rule.listen && !rule.send && !rule.manage]) && alltrue([
    for rule in concat(azurerm_eventhub_authorization_rule.export[*], azurerm_eventhub_namespace_authorization_rule.diagnostics[*]) : rule.send && !rule.listen && !rule.manage])
    error_message = "a rule may do more than it must"
  }
  assert {
    condition     = length(azuread_application.this) == 0 && length(azurerm_role_assignment.reads_hub) == 0
    error_message = "an application that nothing needs"
  }
  assert {
    condition = toset([for source in azurerm_security_center_automation.export[0].source : source.event_source]) == toset(["Alerts",
      "Assessments", "AssessmentsSnapshot", "SubAssessments", "SubAssessmentsSnapshot", "SecureScores", "SecureScoresSnapshot",
    "SecureScoreControls", "SecureScoreControlsSnapshot", "RegulatoryComplianceAssessment", "RegulatoryComplianceAssessmentSnapshot"])
    error_message = "continuous export lacks a source"
  }
  assert {
    condition     = alltrue([for source in azurerm_security_center_automation.export[0].source : length(source.rule_set) == 0])
    error_message = "a filter where everything is wanted"
  }
  assert {
    condition     = output.continuous_export_id == azurerm_security_center_automation.export[0].id && output.continuous_export_id != ""
    error_message = "continuous_export_id"
  }
  assert {
    condition     = [for source in azapi_resource.attack_paths[0].body.properties.sources : source.eventSource] == ["AttackPaths", "AttackPathsSnapshot"]
    error_message = "attack paths"
  }
}

run "severities" {
  variables {
    defender_export = { alert_severities = ["High", "Medium"], snapshots = false }
  }
  assert {
    condition = toset(flatten([for source in azurerm_security_center_automation.export[0].source : [for set in source.rule_set : set.rule[0].expected_value]
    if source.event_source == "Alerts"])) == toset(["High", "Medium"])
    error_message = "the chosen severities are not the rules"
  }
  assert {
    condition     = alltrue([for source in azurerm_security_center_automation.export[0].source : !endswith(source.event_source, "Snapshot")])
    error_message = "snapshots are off"
  }
}

run "federated" {
  variables {
    authentication = "federated"
    federation = {
      issuer    = "https://issuer.example"
      role_arns = { processor = "arn:aws:iam::123456789012:role/processor" }
    }
  }
  assert {
    condition     = length(azuread_application_password.this) == 0 && length(azurerm_eventhub_authorization_rule.listen) == 0
    error_message = "a secret was made"
  }
  assert {
    condition = (azuread_application_federated_identity_credential.this["processor"].subject == "arn:aws:iam::123456789012:role/processor"
    && azuread_application_federated_identity_credential.this["processor"].audiences == tolist(["api://AzureADTokenExchange"]))
    error_message = "the credential trusts another"
  }
  assert {
    condition     = azurerm_role_assignment.reads_hub["weu"].scope == azurerm_eventhub.this["weu"].id && output.aws_configuration.weu.event_hub_secret == null
    error_message = "the role's scope is not the hub, or there is a secret"
  }
}

run "flow_logs" {
  variables {
    client_secret_end_date = timeadd(timestamp(), "2000h")
    regions = { weu = { location = "westeurope", flow_logs = {
      storage_account_name = "contosoflows"
      virtual_networks     = { hub = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/hub" }
    } } }
  }
  assert {
    condition = sort(keys(output.aws_configuration.weu.flow_log_secret)) == tolist(["clientId", "clientSecret", "storageAccountName",
    "storageAccountResourceId", "subscriptionId", "tenantId"])
    error_message = "the flow log secret's keys are not the contract's"
  }
  assert {
    condition = (azurerm_eventgrid_system_topic_event_subscription.flow_logs["weu"].event_delivery_schema == "CloudEventSchemaV1_0"
    && azurerm_eventgrid_system_topic_event_subscription.flow_logs["weu"].subject_filter[0].subject_begins_with == "/blobServices/default/containers/insights-logs-flowlogflowevent/")
    error_message = "notifications are not those of flow log blobs in CloudEvents"
  }
  assert {
    condition     = azurerm_role_assignment.reads_flow_logs["weu"].scope == azurerm_storage_container.flow_logs["weu"].id
    error_message = "the reader's role reaches beyond the container"
  }
}

run "a_secret_needs_an_end" {
  command = plan
  variables {
    authentication = "client_secret"
  }
  expect_failures = [azuread_application_password.this]
}

run "wrong_inputs" {
  command = plan
  variables {
    partition_count        = 33
    client_secret_end_date = "2001-01-01T00:00:00Z"
    allowed_ip_ranges      = ["everywhere"]
    primary_region         = "mars"
  }
  expect_failures = [var.partition_count, var.client_secret_end_date, var.allowed_ip_ranges, var.primary_region]
}
