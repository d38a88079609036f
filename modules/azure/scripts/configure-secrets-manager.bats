#!/usr/bin/env bats
# Against an AWS on this machine (ministack). TRIBUTARY_PYTHON is the peers' python.

setup_file() {
  root=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
  mkfifo "$BATS_FILE_TMPDIR/stdin"
  "$TRIBUTARY_PYTHON" "$root/tests/peers/ministack_server.py" <"$BATS_FILE_TMPDIR/stdin" >"$BATS_FILE_TMPDIR/endpoint" 3>&- &
  # The server ends when nobody holds this open any more.
  sleep 600 >"$BATS_FILE_TMPDIR/stdin" 3>&- &
  echo $! >"$BATS_FILE_TMPDIR/holder"
  for _ in $(seq 300); do [ -s "$BATS_FILE_TMPDIR/endpoint" ] && break; sleep 0.2; done
  AWS_ENDPOINT_URL=$(cat "$BATS_FILE_TMPDIR/endpoint")
  export AWS_ENDPOINT_URL
  [ -n "$AWS_ENDPOINT_URL" ]
  aws secretsmanager create-secret --name hub --secret-string '{"connectionString":"PLACEHOLDER"}'
  aws secretsmanager create-secret --name flows --secret-string '{"clientSecret":"PLACEHOLDER"}'
}

teardown_file() {
  kill "$(cat "$BATS_FILE_TMPDIR/holder")"
}

setup() {
  script=$BATS_TEST_DIRNAME/configure-secrets-manager.sh
  hub='{"eventHubNamespace":"n.servicebus.windows.net","eventHubName":"h","consumerGroup":"tributary","connectionString":"Endpoint=sb://n/;SharedAccessKey=HIDDEN1="}'
  flows='{"tenantId":"t","clientId":"c","clientSecret":"HIDDEN2","subscriptionId":"s","storageAccountName":"a","storageAccountResourceId":"/r"}'
  both="{\"weu\":{\"event_hub_secret\":$hub,\"flow_log_secret\":$flows,\"federated\":null}}"
}

value() { aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text; }
configure() { printf '%s' "$input" | "$script" --terraform-output - "$@" 2>&1; }

@test "a dry run writes nothing and shows keys only" {
  input=$both run configure --event-hub-secret hub --flow-logs-secret flows --dry-run
  [ "$status" -eq 0 ]
  [[ $output == *"would write connectionString, consumerGroup"* ]]
  [[ $output != *HIDDEN* ]]
  [[ $(value hub) == *PLACEHOLDER* ]]
}

@test "both secrets are written exactly, and never shown" {
  input=$both run configure --event-hub-secret hub --flow-logs-secret flows --no-verify
  [ "$status" -eq 0 ]
  [[ $output != *HIDDEN* ]]
  [ "$(value hub | jq -cS .)" = "$(jq -cS . <<<"$hub")" ]
  [ "$(value flows | jq -cS .)" = "$(jq -cS . <<<"$flows")" ]
}

@test "no child sees a secret among its arguments or in its environment, tracing included" {
  bin=$BATS_TEST_TMPDIR/bin seen=$BATS_TEST_TMPDIR/seen
  mkdir "$bin"
  for tool in aws jq; do
    printf '#!/usr/bin/env bash\n{ tr "\\0" "\\n" </proc/$$/cmdline; env; } >>%q\nexec %q "$@"\n' "$seen" "$(command -v $tool)" >"$bin/$tool"
  done
  chmod +x "$bin"/*
  run bash -c "printf '%s' '$both' | PATH='$bin':\$PATH bash -x '$script' --terraform-output - --event-hub-secret hub --flow-logs-secret flows --no-verify 2>&1"
  [ "$status" -eq 0 ]
  grep -q put-secret-value "$seen"
  ! grep -q HIDDEN "$seen"
  [[ $output != *HIDDEN* ]]
}

@test "what is wrong is said with what to do" {
  input=$both run configure --event-hub-secret missing --no-verify
  [ "$status" -eq 1 ]; [[ $output == *"deploy the stack first"* ]]
  input='HIDDEN3' run configure --event-hub-secret hub
  [ "$status" -eq 1 ]; [[ $output == *"not a JSON object"* && $output != *HIDDEN* ]]
  input='{"weu":{},"neu":{}}' run configure --event-hub-secret hub
  [ "$status" -eq 1 ]; [[ $output == *"--region-key: neu weu"* ]]
  input='{"weu":{"event_hub_secret":{"eventHubName":"HIDDEN4"}}}' run configure --event-hub-secret hub
  [ "$status" -eq 1 ]; [[ $output == *"lacks a key"* && $output != *HIDDEN* ]]
  input=$both run configure
  [ "$status" -eq 2 ]; [[ $output == *"name the secrets"* ]]
}

@test "the secrets' names come from the stack's outputs" {
  template='{"Resources":{"T":{"Type":"AWS::SNS::Topic"}},"Outputs":{"EventHubSecretName":{"Value":"hub"},"FlowLogsSecretName":{"Value":"flows"}}}'
  aws cloudformation create-stack --stack-name deployed --template-body "$template"
  for _ in $(seq 50); do [ "$(aws cloudformation describe-stacks --stack-name deployed --query 'Stacks[0].StackStatus' --output text)" = CREATE_COMPLETE ] && break; sleep 0.2; done
  input=$both run configure --stack-name deployed --no-verify
  [ "$status" -eq 0 ]
  [[ $output == *"to hub"* && $output == *"to flows"* ]]
}

@test "the hub is read by what was written, and a failure is one" {
  bin=$BATS_TEST_TMPDIR/bin
  mkdir "$bin"
  printf '#!/usr/bin/env bash\necho "$@" >%q\nexit "${ANSWER:-0}"\n' "$BATS_TEST_TMPDIR/asked" >"$bin/tributary"
  chmod +x "$bin/tributary"
  PATH=$bin:$PATH input=$both run configure --event-hub-secret hub --flow-logs-secret flows
  [ "$status" -eq 0 ]; [[ $output == *"verified: partition 0"* ]]
  grep -qx -- "receive --credentials-secret hub --partition 0 --from latest --count 1 --wait 2" "$BATS_TEST_TMPDIR/asked"
  ANSWER=1 PATH=$bin:$PATH input=$both run configure --event-hub-secret hub --flow-logs-secret flows
  [ "$status" -eq 1 ]; [[ $output == *"cannot be read by it"* ]]
}

@test "the real command reads a hub by what was written" {
  built=${CARGO_TARGET_DIR:-$HOME/.cache/tributary/target}/debug
  [ -x "$built/tributary" ] || skip "no $built/tributary: cargo build -p tributary-cli"
  "$built/tributary" emulator --listen 127.0.0.1:0 --hub h --consumer-group tributary --json >"$BATS_TEST_TMPDIR/emulator" 2>/dev/null 3>&- &
  emulator=$!
  for _ in $(seq 100); do [ -s "$BATS_TEST_TMPDIR/emulator" ] && break; sleep 0.1; done
  written=$(jq -c '{weu: {event_hub_secret: {eventHubNamespace: .address, eventHubName: "h", consumerGroup: "tributary", connectionString}}}' "$BATS_TEST_TMPDIR/emulator")
  PATH=$built:$PATH input=$written run configure --event-hub-secret hub
  kill "$emulator"
  [ "$status" -eq 0 ]; [[ $output == *"verified: partition 0"* ]]
  # The same hub is gone now: what cannot be read is not called verified.
  PATH=$built:$PATH input=$written run configure --event-hub-secret hub
  [ "$status" -eq 1 ]; [[ $output == *"cannot be read by it"* ]]
}

@test "federated: no secret, the settings are named" {
  input='{"weu":{"event_hub_secret":null,"flow_log_secret":null,"federated":{"AZURE_CLIENT_ID":"c-1","AZURE_STORAGE_ACCOUNT":null}}}' run configure
  [ "$status" -eq 0 ]
  [[ $output == *"AZURE_CLIENT_ID: c-1"* && $output != *AZURE_STORAGE_ACCOUNT* ]]
}
