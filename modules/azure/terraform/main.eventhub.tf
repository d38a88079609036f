# One namespace and one hub a region. What covers a subscription or the tenant goes to the primary region's.
resource "azurerm_eventhub_namespace" "this" {
  #checkov:skip=CKV_AZURE_228:zone redundancy is not an argument any more; the service does it where the region has zones
  for_each = var.regions

  name                     = coalesce(each.value.namespace_name, "evhns-${var.name}-${each.key}")
  location                 = azurerm_resource_group.this[each.key].location
  resource_group_name      = azurerm_resource_group.this[each.key].name
  sku                      = "Standard"
  capacity                 = var.throughput_units
  auto_inflate_enabled     = var.maximum_throughput_units > var.throughput_units
  maximum_throughput_units = var.maximum_throughput_units > var.throughput_units ? var.maximum_throughput_units : null
  minimum_tls_version      = "1.2"
  # Continuous export and diagnostic settings know no identity, only a rule. Theirs may send and nothing else.
  local_authentication_enabled = true
  # AWS comes from the internet; who may is decided by the rules below and by credentials.
  public_network_access_enabled = true

  network_rulesets = [{
    default_action                 = length(var.allowed_ip_ranges) > 0 ? "Deny" : "Allow"
    public_network_access_enabled  = true
    trusted_service_access_enabled = true
    ip_rule                        = [for range in var.allowed_ip_ranges : { ip_mask = range, action = "Allow" }]
    virtual_network_rule           = []
  }]

  tags = local.tags
}

resource "azurerm_eventhub" "this" {
  for_each = var.regions

  name            = var.eventhub_name
  namespace_id    = azurerm_eventhub_namespace.this[each.key].id
  partition_count = var.partition_count

  retention_description {
    cleanup_policy          = "Delete"
    retention_time_in_hours = var.retention_hours
  }
}

resource "azurerm_eventhub_consumer_group" "tributary" {
  for_each = var.regions

  name                = "tributary"
  namespace_name      = azurerm_eventhub_namespace.this[each.key].name
  eventhub_name       = azurerm_eventhub.this[each.key].name
  resource_group_name = azurerm_resource_group.this[each.key].name
}

# What Tributary reads by, on this hub alone; never the namespace's root key.
resource "azurerm_eventhub_authorization_rule" "listen" {
  for_each = var.authentication == "sas" ? var.regions : {}

  name                = "tributary-listen"
  namespace_name      = azurerm_eventhub_namespace.this[each.key].name
  eventhub_name       = azurerm_eventhub.this[each.key].name
  resource_group_name = azurerm_resource_group.this[each.key].name
  listen              = true
  send                = false
  manage              = false
}

resource "azurerm_eventhub_authorization_rule" "export" {
  count = var.defender_export.enabled ? 1 : 0

  name                = "defender-send"
  namespace_name      = azurerm_eventhub_namespace.this[local.primary].name
  eventhub_name       = azurerm_eventhub.this[local.primary].name
  resource_group_name = azurerm_resource_group.this[local.primary].name
  listen              = false
  send                = true
  manage              = false
}

# Diagnostic settings take a rule of the namespace, not of a hub. One that may only send is enough since each setting names its hub:
# without a name Azure asks for manage, send and listen, to make a hub of its own.
resource "azurerm_eventhub_namespace_authorization_rule" "diagnostics" {
  count = var.activity_log.enabled || var.entra_id.enabled ? 1 : 0

  name                = "diagnostics-send"
  namespace_name      = azurerm_eventhub_namespace.this[local.primary].name
  resource_group_name = azurerm_resource_group.this[local.primary].name
  listen              = false
  send                = true
  manage              = false
}
