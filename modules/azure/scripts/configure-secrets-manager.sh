#!/usr/bin/env bash
# Writes what Terraform made at Azure into the secrets that the AWS stack reads.
#
# A secret's content goes from program to program through pipes: it is in no argument (a process list shows those), no file, no
# environment and no message of this script.
# shellcheck disable=SC2016 # what stands in single quotes with a $ is for jq
set -euo pipefail
set +x

usage() {
  cat <<'TEXT'
Usage: configure-secrets-manager.sh [options]

Writes Terraform's output aws_configuration into AWS Secrets Manager, for one region of it.

  --terraform-dir DIR       where terraform was applied; . by default
  --terraform-output -      read the output from standard input instead (terraform output -json aws_configuration)
  --region-key KEY          which of the regions; needed when there are several
  --stack-name NAME         CloudFormation stack whose outputs EventHubSecretName and FlowLogsSecretName name the secrets
  --event-hub-secret NAME   name or ARN, instead of the stack's
  --flow-logs-secret NAME   name or ARN, instead of the stack's
  --no-verify               do not read from the hub afterwards
  --dry-run                 show what would be written where, by keys; write nothing
  -h, --help                this text

AWS credentials and region come from where the AWS CLI takes them (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL…).
Ends with 0 when everything is written (and verified), 1 when something failed, 2 for a mistake in the options.
TEXT
}

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }
mistake() { say "error: $*; see --help"; exit 2; }

terraform_dir=. from_stdin='' region_key='' stack='' hub_secret='' flow_secret='' verify=yes dry_run=''
while [ $# -gt 0 ]; do
  case $1 in
    --terraform-dir | --terraform-output | --region-key | --stack-name | --event-hub-secret | --flow-logs-secret)
      [ $# -ge 2 ] || mistake "$1 needs a value"
      case $1 in
        --terraform-dir) terraform_dir=$2 ;;
        --terraform-output) [ "$2" = - ] || mistake "--terraform-output takes - alone: secrets do not belong in a file"; from_stdin=yes ;;
        --region-key) region_key=$2 ;;
        --stack-name) stack=$2 ;;
        --event-hub-secret) hub_secret=$2 ;;
        --flow-logs-secret) flow_secret=$2 ;;
      esac
      shift 2 ;;
    --no-verify) verify=''; shift ;;
    --dry-run) dry_run=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) mistake "unknown option $1" ;;
  esac
done
for tool in jq aws; do
  command -v "$tool" >/dev/null || fail "$tool is not installed"
done

# printf is the shell's own: no process has the content among its arguments. Not exported, so no child has it either.
if [ -n "$from_stdin" ]; then
  configuration=$(cat)
else
  command -v terraform >/dev/null || fail "terraform is not installed; give its output by --terraform-output -"
  configuration=$(terraform -chdir="$terraform_dir" output -json aws_configuration) ||
    fail "terraform output failed in $terraform_dir: apply there first, or name the folder by --terraform-dir"
fi
# jq's own messages quote what they could not read: they are not shown.
ask() { printf '%s' "$configuration" | jq "$@" 2>/dev/null; }

keys=$(ask -r 'if type == "object" then keys | join(" ") else error("") end') ||
  fail "Terraform's output is not a JSON object by region: terraform output -json aws_configuration"
if [ -z "$region_key" ]; then
  case $keys in
    '' | *' '*) fail "name one region by --region-key: $keys" ;;
  esac
  region_key=$keys
fi
ask -e --arg key "$region_key" 'has($key)' >/dev/null || fail "no region $region_key in Terraform's output; there are: $keys"

# Federated, there is no secret, and perhaps no stack yet: it is deployed with the settings that are shown below.
if ask -e --arg key "$region_key" '.[$key] | .event_hub_secret // .flow_log_secret' >/dev/null; then
  [ -n "$stack$hub_secret$flow_secret" ] || mistake "name the secrets: --stack-name, or --event-hub-secret and --flow-logs-secret"
else
  stack=''
fi

stack_output() {
  local value
  value=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue | [0]") || fail "stack $stack cannot be read: is it deployed in this account and region?"
  if [ "$value" != None ]; then printf '%s' "$value"; fi
}
if [ -n "$stack" ]; then
  [ -n "$hub_secret" ] || hub_secret=$(stack_output EventHubSecretName)
  [ -n "$flow_secret" ] || flow_secret=$(stack_output FlowLogsSecretName)
fi

HUB_OK='(.eventHubNamespace and .eventHubName and .consumerGroup) and (.connectionString or (.tenantId and .clientId and .clientSecret))'
FLOW_OK='.tenantId and .clientId and .clientSecret and .subscriptionId and .storageAccountName and .storageAccountResourceId'
wrote=''

# write_secret FIELD NAME OPTION RULE
write_secret() {
  local field=$1 name=$2 option=$3 rule=$4 names
  if ! ask -e --arg key "$region_key" ".[\$key].$field != null" >/dev/null; then
    say "$field: Terraform made none; nothing to write"
    return 0
  fi
  ask -e --arg key "$region_key" ".[\$key].$field | $rule" >/dev/null || fail "$field: Terraform's output lacks a key; apply this module's version again"
  [ -n "$name" ] || fail "$field: the stack names no secret for it; give $option, or turn it on in config.yaml and deploy"
  names=$(ask -r --arg key "$region_key" ".[\$key].$field | keys | join(\", \")")
  aws secretsmanager describe-secret --secret-id "$name" >/dev/null ||
    fail "secret $name cannot be seen: deploy the stack first, and check account and region"
  if [ -n "$dry_run" ]; then
    say "$field: would write $names to $name"
    return 0
  fi
  ask -cj --arg key "$region_key" ".[\$key].$field" |
    aws secretsmanager put-secret-value --secret-id "$name" --secret-string file:///dev/stdin >/dev/null ||
    fail "secret $name was not written: needed are secretsmanager:PutSecretValue and its key's kms:GenerateDataKey and kms:Decrypt"
  say "$field: wrote $names to $name"
  wrote=yes
}

write_secret event_hub_secret "$hub_secret" --event-hub-secret "$HUB_OK"
write_secret flow_log_secret "$flow_secret" --flow-logs-secret "$FLOW_OK"

if ask -e --arg key "$region_key" '.[$key].federated != null' >/dev/null; then
  say "federated: no secret; these are the settings of config.yaml:"
  ask -r --arg key "$region_key" '.[$key].federated | to_entries[] | select(.value != null) | "  \(.key): \(.value)"' >&2
  exit 0
fi
[ -n "$wrote" ] && [ -n "$verify" ] || exit 0
if ! command -v tributary >/dev/null; then
  say "NOT VERIFIED: tributary is not installed here. Where it is: tributary doctor --credentials-secret $hub_secret"
  exit 0
fi
# At a partition's end, for a moment: its properties are read, and events that come meanwhile are not shown.
if tributary receive --credentials-secret "$hub_secret" --partition 0 --from latest --count 1 --wait 2 >/dev/null; then
  say "verified: partition 0 of the hub can be read by $hub_secret"
else
  fail "$hub_secret is written, but the hub cannot be read by it: tributary doctor --credentials-secret $hub_secret tells why (new Azure roles need up to ten minutes)"
fi
