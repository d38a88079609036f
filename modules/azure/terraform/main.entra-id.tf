resource "azurerm_monitor_aad_diagnostic_setting" "entra_id" {
  count = var.entra_id.enabled ? 1 : 0

  name                           = "tributary"
  eventhub_name                  = azurerm_eventhub.this[local.primary].name
  eventhub_authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics[0].id

  dynamic "enabled_log" {
    for_each = var.entra_id.categories

    content {
      category = enabled_log.value
    }
  }
}
