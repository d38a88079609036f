terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.10"
    }
    azuread = {
      source  = "hashicorp/azuread"
      version = "~> 3.10"
    }
    azapi = {
      source  = "azure/azapi"
      version = "~> 2.13"
    }
  }
}

provider "azurerm" {
  subscription_id = "11111111-1111-1111-1111-111111111111"
  # Blob containers and their roles are reached by Entra identity, not by keys.
  storage_use_azuread = true

  features {}
}

provider "azuread" {
  tenant_id = "22222222-2222-2222-2222-222222222222"
}

provider "azapi" {}

module "tributary" {
  source = "../.."

  subscription_id = "11111111-1111-1111-1111-111111111111"
  tenant_id       = "22222222-2222-2222-2222-222222222222"
  name            = "contoso-flows"

  regions = {
    weu = {
      location = "westeurope"
      flow_logs = {
        storage_account_name = "contosoflowsweu"
        network_watcher      = { name = "NetworkWatcher_westeurope" }
        virtual_networks = {
          hub = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub"
        }
      }
    }
  }

  client_secret_end_date = var.client_secret_end_date
}

variable "client_secret_end_date" {
  description = "When the flow log reader's client secret ends, at most 180 days ahead."
  type        = string
  nullable    = false
}

output "aws_configuration" {
  description = "For modules/azure/scripts/configure-secrets-manager.sh."
  value       = module.tributary.aws_configuration
  sensitive   = true
}
