variable "subscription_id" {
  description = "The subscription whose telemetry is exported and that holds the resources."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.subscription_id))
    error_message = "subscription_id is a GUID in lower case: az account show --query id."
  }
}

variable "tenant_id" {
  description = "The Entra tenant of the subscription."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.tenant_id))
    error_message = "tenant_id is a GUID in lower case: az account show --query tenantId."
  }
}

variable "name" {
  description = "Part of every resource's name. Namespaces are unique in the whole of Azure: choose one of your own."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name has 3 to 24 lower case letters, digits and hyphens, beginning with a letter."
  }
}

variable "regions" {
  description = <<-EOT
    Regions by a short key. Each has a resource group, a namespace and a hub, and is an integration of its own on the AWS side.
    - `location`: Azure's name of the region.
    - `resource_group_name`, `namespace_name`: other than `rg-{name}-{key}`, `evhns-{name}-{key}`.
    - `flow_logs`: VNet flow logs of the region; `virtual_networks` are ids by a name of yours, `network_watcher` is the region's
      own where Azure has made one (it nearly always has), `retention_days` is the blobs' life.
  EOT
  type = map(object({
    location            = string
    resource_group_name = optional(string)
    namespace_name      = optional(string)
    flow_logs = optional(object({
      storage_account_name = string
      virtual_networks     = map(string)
      replication          = optional(string, "LRS")
      retention_days       = optional(number, 7)
      network_watcher = optional(object({
        name                = string
        resource_group_name = optional(string, "NetworkWatcherRG")
      }))
    }))
  }))
  nullable = false

  validation {
    condition     = length(var.regions) > 0 && alltrue([for key, region in var.regions : can(regex("^[a-z0-9]{1,12}$", key))])
    error_message = "regions has at least one entry; keys have 1 to 12 lower case letters and digits."
  }
  validation {
    condition = alltrue([for region in values(var.regions) : region.flow_logs == null ? true :
    can(regex("^[a-z0-9]{3,24}$", region.flow_logs.storage_account_name))])
    error_message = "storage_account_name has 3 to 24 lower case letters and digits."
  }
  validation {
    condition = alltrue([for region in values(var.regions) : region.flow_logs == null ? true :
    region.flow_logs.retention_days >= 1 && region.flow_logs.retention_days <= 365 && contains(["LRS", "ZRS", "GRS", "GZRS"], region.flow_logs.replication)])
    error_message = "retention_days is 1 to 365; replication is LRS, ZRS, GRS or GZRS."
  }
  validation {
    condition = alltrue(flatten([for region in values(var.regions) : region.flow_logs == null ? [] : [for id in values(region.flow_logs.virtual_networks) :
    can(regex("(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Network/virtualNetworks/[^/]+(/subnets/[^/]+)?$", id))]]))
    error_message = "virtual_networks holds resource ids of virtual networks or subnets."
  }
}

variable "primary_region" {
  description = "Key of the region whose hub takes what covers the subscription or the tenant; empty is the first key by name."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.primary_region == "" || contains(keys(var.regions), var.primary_region)
    error_message = "primary_region is one of the keys of regions."
  }
}

variable "eventhub_name" {
  description = "The hub's name in each namespace."
  type        = string
  default     = "security-telemetry"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9]([A-Za-z0-9._-]{0,254}[A-Za-z0-9])?$", var.eventhub_name))
    error_message = "eventhub_name has letters, digits, dots, hyphens and underscores, and begins and ends with a letter or digit."
  }
}

variable "partition_count" {
  description = "Partitions of each hub; cannot be changed later in this tier."
  type        = number
  default     = 4
  nullable    = false

  validation {
    condition     = var.partition_count >= 1 && var.partition_count <= 32 && floor(var.partition_count) == var.partition_count
    error_message = "partition_count is a whole number from 1 to 32."
  }
}

variable "retention_hours" {
  description = "How long a hub keeps events: what an outage on the AWS side may last. CHECKPOINT_TTL_HOURS is at least as much."
  type        = number
  default     = 168
  nullable    = false

  validation {
    condition     = var.retention_hours >= 24 && var.retention_hours <= 168
    error_message = "retention_hours is 24 to 168."
  }
}

variable "throughput_units" {
  description = "Throughput units that each namespace begins with."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.throughput_units >= 1 && var.throughput_units <= 40
    error_message = "throughput_units is 1 to 40."
  }
}

variable "maximum_throughput_units" {
  description = "Where auto-inflate ends; equal to throughput_units turns it off."
  type        = number
  default     = 4
  nullable    = false

  validation {
    condition     = var.maximum_throughput_units >= var.throughput_units && var.maximum_throughput_units <= 40
    error_message = "maximum_throughput_units is throughput_units to 40."
  }
}

variable "allowed_ip_ranges" {
  description = <<-EOT
    IPv4 addresses and ranges that reach hub and storage, such as the NAT gateway's of the functions' VPC; Azure's trusted services
    always do. Empty is everyone with credentials: functions outside a VPC have no address of their own.
  EOT
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for range in var.allowed_ip_ranges : can(cidrhost(strcontains(range, "/") ? range : "${range}/32", 0))])
    error_message = "allowed_ip_ranges holds IPv4 addresses or CIDR ranges."
  }
}

variable "authentication" {
  description = "How AWS reads the hub: `sas` (a rule that may only listen), `client_secret` (an application), `federated` (no secret)."
  type        = string
  default     = "sas"
  nullable    = false

  validation {
    condition     = contains(["sas", "client_secret", "federated"], var.authentication)
    error_message = "authentication is sas, client_secret or federated."
  }
}

variable "client_secret_end_date" {
  description = "When the client secret ends (RFC 3339), at most 180 days ahead; needed by client_secret, and by sas with flow logs."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition = var.client_secret_end_date == "" ? true : try(
      timecmp(var.client_secret_end_date, plantimestamp()) > 0 &&
    timecmp(var.client_secret_end_date, timeadd(plantimestamp(), "4320h")) <= 0, false)
    error_message = "client_secret_end_date is a time such as 2030-01-31T00:00:00Z, ahead of now by at most 180 days."
  }
}

variable "federation" {
  description = <<-EOT
    What `federated` trusts. `issuer` is the AWS account's own (aws iam get-outbound-web-identity-federation-info), `role_arns`
    are the functions' roles by a name: their names are fixed, so they may be trusted before the stack exists.
  EOT
  type = object({
    issuer    = optional(string, "")
    role_arns = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.authentication != "federated" || can(regex("^https://[^/]+", var.federation.issuer))
    error_message = "authentication is federated: federation.issuer is the account's https:// issuer."
  }
  validation {
    condition     = var.authentication != "federated" || length(var.federation.role_arns) > 0
    error_message = "authentication is federated: federation.role_arns names at least the processor's role."
  }
  validation {
    condition     = alltrue([for arn in values(var.federation.role_arns) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", arn))])
    error_message = "role_arns holds ARNs of IAM roles."
  }
}

variable "defender_export" {
  description = "Defender for Cloud's continuous export: weekly snapshots beside the stream, attack paths, severities of alerts."
  type = object({
    enabled          = optional(bool, true)
    snapshots        = optional(bool, true)
    attack_paths     = optional(bool, true)
    alert_severities = optional(set(string), ["High", "Medium", "Low", "Informational"])
  })
  default  = {}
  nullable = false

  validation {
    condition = length(var.defender_export.alert_severities) > 0 && alltrue([for severity in var.defender_export.alert_severities :
    contains(["High", "Medium", "Low", "Informational"], severity)])
    error_message = "alert_severities holds some of High, Medium, Low, Informational."
  }
}

variable "activity_log" {
  description = "The subscription's Activity Log."
  type = object({
    enabled = optional(bool, true)
    categories = optional(set(string), ["Administrative", "Security", "ServiceHealth", "Alert", "Recommendation", "Policy", "Autoscale",
    "ResourceHealth"])
  })
  default  = {}
  nullable = false

  validation {
    condition = length(var.activity_log.categories) > 0 && alltrue([for category in var.activity_log.categories :
      contains(["Administrative", "Security", "ServiceHealth", "Alert", "Recommendation", "Policy", "Autoscale", "ResourceHealth"], category)
    ])
    error_message = "categories holds some of the Activity Log's: Administrative, Security, ServiceHealth, Alert, Recommendation, Policy, Autoscale, ResourceHealth."
  }
}

variable "entra_id" {
  description = "Entra ID's logs; sign-ins need a P1 licence, and setting them a Security Administrator."
  type = object({
    enabled = optional(bool, true)
    categories = optional(set(string), ["AuditLogs", "SignInLogs", "NonInteractiveUserSignInLogs", "ServicePrincipalSignInLogs",
    "ManagedIdentitySignInLogs", "ProvisioningLogs", "ADFSSignInLogs", "RiskyUsers", "UserRiskEvents", "RiskyServicePrincipals", "ServicePrincipalRiskEvents"])
  })
  default  = {}
  nullable = false

  validation {
    condition     = length(var.entra_id.categories) > 0
    error_message = "categories holds at least one; turn the whole off by enabled = false."
  }
}

variable "tags" {
  description = "Tags of every resource that has tags."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.tags) <= 49
    error_message = "Azure allows 50 tags, and one is set here."
  }
}
