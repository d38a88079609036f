resource "azurerm_eventgrid_system_topic" "flow_logs" {
  for_each = local.flow_log_regions

  name                = "evgt-${var.name}-${each.key}"
  location            = azurerm_resource_group.this[each.key].location
  resource_group_name = azurerm_resource_group.this[each.key].name
  source_resource_id  = azurerm_storage_account.flow_logs[each.key].id
  topic_type          = "Microsoft.Storage.StorageAccounts"
  tags                = local.tags

  identity {
    type = "SystemAssigned"
  }
}

resource "azurerm_role_assignment" "event_grid_sends" {
  for_each = local.flow_log_regions

  scope                = azurerm_eventhub.this[each.key].id
  role_definition_name = "Azure Event Hubs Data Sender"
  principal_id         = azurerm_eventgrid_system_topic.flow_logs[each.key].identity[0].principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_eventgrid_system_topic_event_subscription" "flow_logs" {
  for_each = local.flow_log_regions

  name                  = "tributary-flow-logs"
  system_topic          = azurerm_eventgrid_system_topic.flow_logs[each.key].name
  resource_group_name   = azurerm_resource_group.this[each.key].name
  event_delivery_schema = "CloudEventSchemaV1_0"
  eventhub_id           = azurerm_eventhub.this[each.key].id
  included_event_types  = ["Microsoft.Storage.BlobCreated"]

  delivery_identity {
    type = "SystemAssigned"
  }

  subject_filter {
    subject_begins_with = "/blobServices/default/containers/${local.flow_log_container}/"
  }

  retry_policy {
    max_delivery_attempts = 30
    event_time_to_live    = 1440
  }

  depends_on = [azurerm_role_assignment.event_grid_sends]
}
