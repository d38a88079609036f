"""Schemas of Terraform providers, read from the JSII assemblies that the Python packages of their bindings carry.

A provider's binary is not to be had offline. Its bindings are, and an assembly (`.jsii`, JSON) names each argument with its type,
whether it is required, and in its documentation link the name that Terraform knows it by. A property of the `…Config` interface is
an argument; a property of the resource's class alone is computed. What a summary calls "… block." is a block.

Not in an assembly, and so not checked: values, conflicts between arguments, which optional arguments are computed too (all are
taken to be), the order of sets.
"""
import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path

META = {"connection", "count", "dependsOn", "forEach", "lifecycle", "provider", "provisioners"}
INTERNAL = {"internalValue", "complexObjectIndex", "complexObjectIsFromSet", "fqn"}
LINK = re.compile(r"providers/[^/]+/[^/]+/[^/]+/docs(?:/(resources|data-sources)/([a-z0-9_]+))?#([a-z0-9_]+)")
PRIMITIVES = {"string": "string", "number": "number", "boolean": "bool"}


def assembly(wheel: Path) -> dict:
    """The JSII assembly inside a wheel of bindings."""
    with zipfile.ZipFile(wheel) as z:
        inner = next(n for n in z.namelist() if n.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(z.read(inner))) as t:
            return json.load(t.extractfile("package/.jsii"))["types"]


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def plain(kind: dict) -> dict:
    """The type without the alternatives that only mean 'a token'."""
    if "union" in kind:
        rest = [k for k in kind["union"]["types"] if k.get("fqn") != "cdktn.IResolvable"]
        return plain(next((k for k in rest if "collection" in k), rest[0]))
    return kind


class Reader:
    def __init__(self, types: dict):
        self.types = types

    def properties(self, fqn: str) -> list:
        return [p for p in self.types[fqn].get("properties", []) if p["name"] not in META and not p.get("static")]

    def own(self, kind: dict) -> str | None:
        fqn = kind.get("fqn")
        return fqn if fqn in self.types else None

    def cty(self, kind: dict):
        """A type in Terraform's JSON notation."""
        kind = plain(kind)
        if "primitive" in kind:
            return PRIMITIVES.get(kind["primitive"], "dynamic")
        if "collection" in kind:
            inner = plain(kind["collection"]["elementtype"])
            # A map of anything is what bindings make of a dynamic argument (azapi's body).
            if inner.get("primitive") == "any":
                return "dynamic"
            return ["map" if kind["collection"]["kind"] == "map" else "list", self.cty(inner)]
        fqn = kind.get("fqn", "")
        if fqn in ("cdktn.StringMap", "cdktn.NumberMap", "cdktn.BooleanMap"):
            return ["map", {"S": "string", "N": "number", "B": "bool"}[fqn[6]]]
        own = self.own(kind)
        if own and own.endswith("OutputReference"):
            return ["object", {snake(p["name"]): self.cty(p["type"]) for p in self.properties(own)
                               if p["name"] not in INTERNAL and not p["name"].endswith("Input")}]
        if own and self.types[own].get("kind") == "interface":
            return ["object", {self.name(p): self.cty(p["type"]) for p in self.properties(own)}]
        if own and own.endswith("List"):
            item = own[:-4] + "OutputReference"
            return ["list", self.cty({"fqn": item})] if item in self.types else "dynamic"
        return "dynamic"

    def name(self, prop: dict) -> str:
        found = LINK.search(prop.get("docs", {}).get("remarks", ""))
        return found.group(3) if found else snake(prop["name"])

    def block(self, fqn: str, seen: tuple = ()) -> dict:
        out = {"attributes": {}, "blocks": {}}
        for prop in self.properties(fqn):
            name, kind, required = self.name(prop), plain(prop["type"]), not prop.get("optional")
            many = "collection" in kind
            own = self.own(plain(kind["collection"]["elementtype"]) if many else kind)
            if own and prop.get("docs", {}).get("summary", "").endswith(" block.") and own not in seen:
                nesting = "single" if name == "timeouts" else "list"
                out["blocks"][name] = {"nesting": nesting, "required": required, "one": not many, "block": self.block(own, (*seen, own))}
            else:
                out["attributes"][name] = {"type": self.cty(kind), "required": required, "optional": not required,
                                           "computed": not required}
        self.add_computed(out, f"{fqn}OutputReference")
        return out

    def add_computed(self, out: dict, cls: str) -> None:
        """What a class has beyond the arguments: attributes that the provider answers."""
        for prop in self.properties(cls) if cls in self.types else []:
            name = snake(prop["name"])
            if prop["name"] in INTERNAL or prop["name"].endswith("Input") or name in out["attributes"] or name in out["blocks"]:
                continue
            out["attributes"][name] = {"type": self.cty(prop["type"]), "required": False, "optional": False, "computed": True}

    def resource(self, config: str) -> dict:
        out = self.block(config)
        self.add_computed(out, config.removesuffix("Config"))
        out["attributes"].setdefault("id", {"type": "string", "required": False, "optional": False, "computed": True})
        return out


def schema(wheel: Path, provider: str) -> dict:
    types = assembly(wheel)
    reader, out = Reader(types), {"provider": {"attributes": {}, "blocks": {}}, "resources": {}, "data-sources": {}}
    for fqn, kind in types.items():
        if kind.get("kind") != "interface" or not fqn.endswith("Config"):
            continue
        if fqn.endswith(f"provider.{provider.capitalize()}ProviderConfig"):
            out["provider"] = reader.block(fqn)
            continue
        for prop in kind.get("properties", []):
            found = LINK.search(prop.get("docs", {}).get("remarks", ""))
            if found and found.group(1):
                # An argument's own block may end in "Config" too: only the interface of the resource extends the meta arguments.
                if any("TerraformMetaArguments" in base for base in kind.get("interfaces", [])):
                    out[found.group(1)][f"{provider}_{found.group(2)}"] = reader.resource(fqn)
                break
    return out


def main() -> None:
    target = Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for provider in ("azurerm", "azuread", "azapi"):
        wheel = next(Path(sys.argv[1]).glob(f"cdktn_provider_{provider}-*.whl"))
        made = schema(wheel, provider)
        if not made["resources"]:
            sys.exit(f"{wheel.name}: no resources read; has the shape of the assembly changed?")
        (target / f"{provider}.json").write_text(json.dumps(made))
        print(f"{provider}: {len(made['resources'])} resources, {len(made['data-sources'])} data sources")


if __name__ == "__main__":
    main()
