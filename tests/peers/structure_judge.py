"""Structure of OCSF events by the JSON schemas of the package ocsf-json-schema.

usage: structure_judge.py FILE.ndjson

Each event is judged by the schema of its metadata.version, class_uid and metadata.profiles. Prints one finding a line,
then how many events were judged; exits with 1 when there are findings.
"""

import json
import os
import sys

import jsonschema
import ocsf_json_schema
from ocsf_json_schema import OcsfJsonSchemaEmbedded

FOLDER = os.path.join(os.path.dirname(ocsf_json_schema.__file__), "ocsf")
schemas = {}
validators = {}


def validator(version, uid, profiles):
    key = (version, uid, profiles)
    if key not in validators:
        if version not in schemas:
            with open(os.path.join(FOLDER, f"{version}.json"), encoding="utf-8") as file:
                schemas[version] = OcsfJsonSchemaEmbedded(json.load(file))
        schema = schemas[version]
        name = schema.lookup_class_name_from_uid(uid)
        # The type checker takes 1.0 for an integer; OCSF's integers are written without a fraction.
        validators[key] = jsonschema.Draft202012Validator(schema.get_class_schema(name, list(profiles)))
    return validators[key]


count = findings = 0
with open(sys.argv[1], encoding="utf-8") as file:
    for number, line in enumerate(file, 1):
        event = json.loads(line)
        metadata = event["metadata"]
        judge = validator(metadata["version"], event["class_uid"], tuple(sorted(metadata.get("profiles", []))))
        count += 1
        for error in judge.iter_errors(event):
            findings += 1
            print(f"{number}: {error.json_path}: {error.message[:300]}")
print(f"judged {count} events")
sys.exit(1 if findings else 0)
