"""Providers that know a schema and nothing else, served on the loopback for one Terraform command.

`provider.py SCHEMAS -- COMMAND…` serves every `SCHEMAS/*.json` by plugin protocol 6, runs the command with
`TF_REATTACH_PROVIDERS`, and ends with its status. `terraform test` mocks what resources answer; nothing here speaks to Azure.
"""
import json
import os
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

SOURCES = {"azurerm": "hashicorp/azurerm", "azuread": "hashicorp/azuread",
           "azapi": "azure/azapi"}
NESTING = pb.Schema.NestedBlock.NestingMode
UNKNOWN = msgpack.ExtType(0, b"\0")


def block(spec: dict) -> pb.Schema.Block:
    out = pb.Schema.Block()
    for name, a in sorted(spec["attributes"].items()):
        out.attributes.append(pb.Schema.Attribute(name=name, type=json.dumps(a["type"]).encode(), required=a["required"],
                                                  optional=a["optional"], computed=a["computed"]))
    for name, b in sorted(spec["blocks"].items()):
        single = b["nesting"] == "single"
        out.block_types.append(pb.Schema.NestedBlock(
            type_name=name, block=block(b["block"]), nesting=NESTING.SINGLE if single else NESTING.LIST,
            min_items=int(b["required"] and not single), max_items=int(b["one"] and not single)))
    return out


def unknown(value, spec: dict):
    """Computed attributes that are not set become unknown, as a provider plans them."""
    if isinstance(value, dict):
        for name, a in spec["attributes"].items():
            if a["computed"] and value.get(name) is None:
                value[name] = UNKNOWN
    return value


class Provider(rpc.ProviderServicer):
    def __init__(self, path: Path):
        self.spec = json.loads(path.read_text())
        self.answer = pb.GetProviderSchema.Response(provider=pb.Schema(block=block(self.spec["provider"])))
        for name, spec in self.spec["resources"].items():
            self.answer.resource_schemas[name].CopyFrom(pb.Schema(block=block(spec)))
        for name, spec in self.spec["data-sources"].items():
            self.answer.data_source_schemas[name].CopyFrom(pb.Schema(block=block(spec)))

    def GetProviderSchema(self, request, context):
        return self.answer

    def GetMetadata(self, request, context):
        return pb.GetMetadata.Response(
            resources=[pb.GetMetadata.ResourceMetadata(type_name=n) for n in self.spec["resources"]],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=n) for n in self.spec["data-sources"]])

    def ValidateProviderConfig(self, request, context):
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request, context):
        return pb.ConfigureProvider.Response()

    def PlanResourceChange(self, request, context):
        raw = request.proposed_new_state.msgpack
        value = unknown(msgpack.unpackb(raw, strict_map_key=False), self.spec["resources"][request.type_name])
        return pb.PlanResourceChange.Response(planned_state=pb.DynamicValue(msgpack=msgpack.packb(value)))

    def StopProvider(self, request, context):
        return pb.StopProvider.Response()


def main() -> int:
    schemas, command = Path(sys.argv[1]), sys.argv[3:]
    servers, attach = [], {}
    for path in sorted(schemas.glob("*.json")):
        server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", 256 << 20)])
        rpc.add_ProviderServicer_to_server(Provider(path), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        attach[SOURCES[path.stem]] = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True,
                                      "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"}}
    env = {**os.environ, "TF_REATTACH_PROVIDERS": json.dumps(attach), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1",
           "TF_CLI_CONFIG_FILE": os.devnull}
    status = subprocess.run(command, env=env, check=False).returncode
    for server in servers:
        server.stop(None)
    return status


if __name__ == "__main__":
    sys.exit(main())
