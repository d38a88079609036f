locals {
  # Alerts have no snapshot: they are only ever streamed.
  export_sources = var.defender_export.enabled ? concat(
    ["Alerts"],
    flatten([for source in ["Assessments", "SubAssessments", "SecureScores", "SecureScoreControls", "RegulatoryComplianceAssessment"] :
      concat([source], var.defender_export.snapshots ? ["${source}Snapshot"] : [])
  ])) : []
  every_severity = length(var.defender_export.alert_severities) == 4
}

resource "azurerm_security_center_automation" "export" {
  count = var.defender_export.enabled ? 1 : 0

  # The portal shows continuous export under this name alone.
  name                = "ExportToEventHub"
  location            = azurerm_resource_group.this[local.primary].location
  resource_group_name = azurerm_resource_group.this[local.primary].name
  description         = "Everything Defender for Cloud exports, to Tributary's hub."
  scopes              = [local.subscription_path]
  tags                = local.tags

  dynamic "source" {
    for_each = local.export_sources

    content {
      event_source = source.value

      # No rule is every alert, severities that come later included. Rule sets are joined by OR.
      dynamic "rule_set" {
        for_each = source.value == "Alerts" && !local.every_severity ? var.defender_export.alert_severities : []

        content {
          rule {
            property_path  = "Severity"
            operator       = "Equals"
            expected_value = rule_set.value
            property_type  = "String"
          }
        }
      }
    }
  }

  action {
    type              = "EventHub"
    resource_id       = azurerm_eventhub.this[local.primary].id
    connection_string = azurerm_eventhub_authorization_rule.export[0].primary_connection_string
  }
}

# azurerm does not know this source. NOT VALIDATED OFFLINE: the schema at hand takes any body.
resource "azapi_resource" "attack_paths" {
  count = var.defender_export.enabled && var.defender_export.attack_paths ? 1 : 0

  type      = "Microsoft.Security/automations@2023-12-01-preview"
  name      = "tributary-attack-paths"
  parent_id = azurerm_resource_group.this[local.primary].id
  location  = azurerm_resource_group.this[local.primary].location
  tags      = local.tags

  body = {
    properties = {
      isEnabled   = true
      description = "Attack paths, to Tributary's hub."
      scopes      = [{ scopePath = local.subscription_path, description = "subscription" }]
      sources = [for source in concat(["AttackPaths"], var.defender_export.snapshots ? ["AttackPathsSnapshot"] : []) :
      { eventSource = source, ruleSets = [] }]
    }
  }
  # Write-only: the connection string is not kept in the state.
  sensitive_body = {
    properties = {
      actions = [{
        actionType         = "EventHub"
        eventHubResourceId = azurerm_eventhub.this[local.primary].id
        connectionString   = azurerm_eventhub_authorization_rule.export[0].primary_connection_string
      }]
    }
  }
}
