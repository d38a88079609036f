resource "azurerm_monitor_diagnostic_setting" "activity_log" {
  count = var.activity_log.enabled ? 1 : 0

  name                           = "tributary"
  target_resource_id             = local.subscription_path
  eventhub_name                  = azurerm_eventhub.this[local.primary].name
  eventhub_authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics[0].id

  dynamic "enabled_log" {
    for_each = var.activity_log.categories

    content {
      category = enabled_log.value
    }
  }
}
