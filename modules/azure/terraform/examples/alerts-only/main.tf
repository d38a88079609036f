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
  name            = "contoso-alerts"
  regions         = { weu = { location = "westeurope" } }
  activity_log    = { enabled = false }
  entra_id        = { enabled = false }
}

output "aws_configuration" {
  description = "For modules/azure/scripts/configure-secrets-manager.sh."
  value       = module.tributary.aws_configuration
  sensitive   = true
}
