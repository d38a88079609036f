locals {
  subscription_path = "/subscriptions/${var.subscription_id}"
  primary           = coalesce(var.primary_region, sort(keys(var.regions))[0])
  flow_log_regions  = { for key, region in var.regions : key => region.flow_logs if region.flow_logs != null }
  # Flow log blobs are read by Entra identity alone, so an application is made for them even where the hub is read by a rule.
  application = var.authentication != "sas" || length(local.flow_log_regions) > 0
  password    = local.application && var.authentication != "federated"
  tags        = merge({ application = "tributary" }, var.tags)
}

resource "azurerm_resource_group" "this" {
  for_each = var.regions

  name     = coalesce(each.value.resource_group_name, "rg-${var.name}-${each.key}")
  location = each.value.location
  tags     = local.tags
}
