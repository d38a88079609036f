output "continuous_export_id" {
  description = "Id of Defender for Cloud's continuous export; null when it is off."
  value       = one(azurerm_security_center_automation.export[*].id)
}

output "eventhub_ids" {
  description = "Id of each region's hub."
  value       = { for key, hub in azurerm_eventhub.this : key => hub.id }
}

output "application_client_id" {
  description = "Client id of the application that reads; null when nothing needs one."
  value       = one(azuread_application.this[*].client_id)
}

output "aws_configuration" {
  description = <<-EOT
    What the AWS side needs, by region, and nothing else: `event_hub_secret` and `flow_log_secret` are the content of the two
    secrets (null where there is none), `federated` the functions' settings where there is no secret.
  EOT
  sensitive   = true
  value = { for key, region in var.regions : key => {
    event_hub_secret = var.authentication == "federated" ? null : merge(
      {
        eventHubNamespace = "${azurerm_eventhub_namespace.this[key].name}.servicebus.windows.net"
        eventHubName      = azurerm_eventhub.this[key].name
        consumerGroup     = azurerm_eventhub_consumer_group.tributary[key].name
      },
      var.authentication == "sas" ? {
        connectionString = azurerm_eventhub_authorization_rule.listen[key].primary_connection_string
      } : {},
      var.authentication == "client_secret" ? {
        tenantId     = var.tenant_id
        clientId     = azuread_application.this[0].client_id
        clientSecret = azuread_application_password.this[0].value
      } : {},
    )
    flow_log_secret = region.flow_logs == null || var.authentication == "federated" ? null : {
      tenantId                 = var.tenant_id
      clientId                 = azuread_application.this[0].client_id
      clientSecret             = azuread_application_password.this[0].value
      subscriptionId           = var.subscription_id
      storageAccountName       = azurerm_storage_account.flow_logs[key].name
      storageAccountResourceId = azurerm_storage_account.flow_logs[key].id
    }
    federated = var.authentication != "federated" ? null : {
      AZURE_AUTHENTICATION    = "federated"
      AZURE_TENANT_ID         = var.tenant_id
      AZURE_CLIENT_ID         = azuread_application.this[0].client_id
      EVENTHUB_NAMESPACE      = "${azurerm_eventhub_namespace.this[key].name}.servicebus.windows.net"
      EVENTHUB_NAME           = azurerm_eventhub.this[key].name
      EVENTHUB_CONSUMER_GROUP = azurerm_eventhub_consumer_group.tributary[key].name
      AZURE_STORAGE_ACCOUNT   = region.flow_logs == null ? null : azurerm_storage_account.flow_logs[key].name
    }
  } }
}
