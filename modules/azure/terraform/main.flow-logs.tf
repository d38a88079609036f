locals {
  flow_logs = merge([for key, logs in local.flow_log_regions : {
    for name, id in logs.virtual_networks : "${key}/${name}" => { region = key, name = name, id = id }
  }]...)
  flow_log_container = "insights-logs-flowlogflowevent"
}

resource "azurerm_storage_account" "flow_logs" {
  #checkov:skip=CKV_AZURE_33:no queue is used
  #checkov:skip=CKV_AZURE_59:AWS reads from the internet; allowed_ip_ranges closes it to all others
  #checkov:skip=CKV_AZURE_206:flow logs are a copy with a lifetime of days; replication is the user's choice
  #checkov:skip=CKV2_AZURE_1:a customer's key is the user's choice; the service's key encrypts
  #checkov:skip=CKV2_AZURE_33:a private endpoint is out of AWS's reach
  #checkov:skip=CKV2_AZURE_40:Network Watcher writes by the account's key
  #checkov:skip=CKV2_AZURE_38:blobs live for days and are rewritten each minute: kept deletions would only cost
  #checkov:skip=CKV2_AZURE_41:no SAS token is ever made
  #checkov:skip=CKV2_AZURE_21:reads are Tributary's own
  #checkov:skip=CKV_AZURE_35:AWS reads from the internet unless allowed_ip_ranges is set
  for_each = local.flow_log_regions

  name                            = each.value.storage_account_name
  resource_group_name             = azurerm_resource_group.this[each.key].name
  location                        = azurerm_resource_group.this[each.key].location
  account_kind                    = "StorageV2"
  account_tier                    = "Standard"
  account_replication_type        = each.value.replication
  min_tls_version                 = "TLS1_2"
  https_traffic_only_enabled      = true
  allow_nested_items_to_be_public = false
  # Network Watcher writes by the account's key; Tributary reads by Entra identity.
  shared_access_key_enabled        = true
  cross_tenant_replication_enabled = false
  local_user_enabled               = false
  tags                             = local.tags

  network_rules {
    default_action = length(var.allowed_ip_ranges) > 0 ? "Deny" : "Allow"
    bypass         = ["AzureServices"]
    ip_rules       = var.allowed_ip_ranges
  }
}

# The scope of the reader's role. The service would make it with the first blob; a role needs it before.
resource "azurerm_storage_container" "flow_logs" {
  #checkov:skip=CKV2_AZURE_21:reads are Tributary's own
  for_each = local.flow_log_regions

  name                  = local.flow_log_container
  storage_account_id    = azurerm_storage_account.flow_logs[each.key].id
  container_access_type = "private"
}

resource "azurerm_storage_management_policy" "flow_logs" {
  for_each = local.flow_log_regions

  storage_account_id = azurerm_storage_account.flow_logs[each.key].id

  rule {
    name    = "flow-logs-expire"
    enabled = true

    filters {
      blob_types   = ["blockBlob"]
      prefix_match = ["${local.flow_log_container}/"]
    }

    actions {
      base_blob {
        delete_after_days_since_modification_greater_than = each.value.retention_days
      }
    }
  }
}

# Azure makes one watcher a region by itself and allows no second: most regions name theirs.
resource "azurerm_network_watcher" "this" {
  for_each = { for key, logs in local.flow_log_regions : key => logs if logs.network_watcher == null }

  name                = "nw-${var.name}-${each.key}"
  location            = azurerm_resource_group.this[each.key].location
  resource_group_name = azurerm_resource_group.this[each.key].name
  tags                = local.tags
}

resource "azurerm_network_watcher_flow_log" "this" {
  #checkov:skip=CKV_AZURE_12:the lake keeps what is read; blobs live by the account's own policy, retention_days
  for_each = local.flow_logs

  name                 = "tributary-${each.value.name}"
  location             = azurerm_resource_group.this[each.value.region].location
  network_watcher_name = try(local.flow_log_regions[each.value.region].network_watcher.name, azurerm_network_watcher.this[each.value.region].name)
  resource_group_name = try(local.flow_log_regions[each.value.region].network_watcher.resource_group_name,
  azurerm_network_watcher.this[each.value.region].resource_group_name)
  target_resource_id = each.value.id
  storage_account_id = azurerm_storage_account.flow_logs[each.value.region].id
  enabled            = true
  version            = 2
  tags               = local.tags

  # The account's own policy deletes: this one needs rights that Network Watcher has not on every account.
  retention_policy {
    enabled = false
    days    = 0
  }
}
