resource "azuread_application" "this" {
  count = local.application ? 1 : 0

  display_name     = "${var.name}-reader"
  sign_in_audience = "AzureADMyOrg"
}

resource "azuread_service_principal" "this" {
  count = local.application ? 1 : 0

  client_id                    = azuread_application.this[0].client_id
  app_role_assignment_required = false
}

resource "azuread_application_password" "this" {
  count = local.password ? 1 : 0

  application_id = azuread_application.this[0].id
  display_name   = "tributary"
  end_date       = var.client_secret_end_date

  lifecycle {
    precondition {
      condition     = var.client_secret_end_date != ""
      error_message = "client_secret_end_date is needed: this configuration makes a client secret. Set it at most 180 days ahead."
    }
    # The new one is there before the old one goes: nobody is locked out between.
    create_before_destroy = true
  }
}

# One a role: a credential trusts exactly one subject.
resource "azuread_application_federated_identity_credential" "this" {
  #checkov:skip=CKV_AZURE_249:not GitHub; issuer and subject are one AWS account's and one role's, validated in variables.tf
  for_each = var.authentication == "federated" ? var.federation.role_arns : {}

  application_id = azuread_application.this[0].id
  display_name   = each.key
  description    = "The AWS role of ${each.key}"
  issuer         = var.federation.issuer
  subject        = each.value
  audiences      = ["api://AzureADTokenExchange"]
}

resource "azurerm_role_assignment" "reads_hub" {
  for_each = var.authentication == "sas" ? {} : var.regions

  # Not the consumer group: the hub's own properties (partitions, their ends) are read too, which a group's role does not allow.
  scope                = azurerm_eventhub.this[each.key].id
  role_definition_name = "Azure Event Hubs Data Receiver"
  principal_id         = azuread_service_principal.this[0].object_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_role_assignment" "reads_flow_logs" {
  for_each = local.flow_log_regions

  scope                = azurerm_storage_container.flow_logs[each.key].id
  role_definition_name = "Storage Blob Data Reader"
  principal_id         = azuread_service_principal.this[0].object_id
  principal_type       = "ServicePrincipal"
}
